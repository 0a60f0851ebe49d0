# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""A receiver gets messages at its own pace."""

from __future__ import annotations

import re
import time
from itertools import pairwise

import pytest

from .applications import application, authenticate, deploy, session, shop, submit
from .site import HOSTS, on
from .smarthosts import relay, way

# It gives both hosts another inventory.
pytestmark = pytest.mark.together

BULK = application("bulk")
APART = "probe@receiver.receiver.test"
DELAY = 2
# The domains of one receiver, and the level of TLS to each.
KEPT = {"dane.tls.test": "Verified", "sts.tls.test": "Verified", "receiver.test": "Trusted"}


@pytest.fixture(scope="module", autouse=True)
def paced(standing_hosts: None, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A receiver of the lab has a pace."""
    run = deploy(
        tmp_path_factory.mktemp("inventory"),
        [BULK],
        publish=True,
        postseal_relays=[
            relay("primary", "relay-a", "postseal", "relay-a", 587),
            relay("backup", "relay-b", "backup", "relay-b", 465),
        ],
        postseal_routes=[
            {"credential": "bulk", "via": ["direct", "backup"]},
            {"recipient_domain": "receiver.receiver.test", "via": ["direct", "backup"]},
            {"default": True, "via": ["direct", "primary"]},
        ],
        postseal_pace={
            "concurrency": 7,
            "receivers": {"lab": {"domains": list(KEPT), "rate": f"{60 // DELAY}/m"}},
        },
    )
    assert run.returncode == 0, run.output


def _log(host: str, since: int) -> str:
    return on(host, f"journalctl -q --namespace=postseal -o short-unix --no-pager --since=@{since}")


def test_each_receiver_has_its_pace() -> None:
    began = int(time.time())
    for host in HOSTS:
        with session(host) as client:
            assert authenticate(client, shop().login, shop().password)[0] == 235
            sent = [submit(client, shop(), recipients=(f"probe@{domain}",)) for domain in KEPT]
            other = submit(client, shop(), recipients=(APART,))
        assert {outcome.code for outcome in (*sent, other)} == {250}
        assert {way(outcome.token).relay for outcome in (*sent, other)} == {""}
        told = _log(host, began)
        moments = [
            float(moment)
            for moment in re.findall(
                r"^(\d+\.\d+) .*postfix/to-lab-via-direct-primary/smtp\S+ \w+: to=.*status=sent", told, re.MULTILINE
            )
        ]
        assert len(moments) == len(sent)
        # What comes between is the delay alone; when a delivery ends depends on the delivery as well.
        assert all(later - earlier > DELAY - 0.5 for earlier, later in pairwise(moments))
        assert moments[-1] - moments[0] > 2 * DELAY - 0.5
        assert re.search(r"postfix/via-direct-backup/smtp\S+ \w+: to=.*status=sent", told)
        # The level of each domain is that of direct delivery.
        assert re.findall(r"postfix/to-lab-via-direct-primary/smtp\S+ (\w+) TLS connection established", told) == [
            *KEPT.values()
        ]
        settings = on(host, "postconf -h smtp_destination_concurrency_limit; postconf -M")
        assert settings.splitlines()[0] == "7"
        assert re.search(r"^to_google_via_direct_primary +unix +- +- +n +- +5 +smtp -o", settings, re.MULTILINE)
