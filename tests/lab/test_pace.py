# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""A receiver gets messages at its own pace, and a new address sends as many a day as the schedule says."""

from __future__ import annotations

import re
import time
from datetime import UTC, date, datetime
from itertools import pairwise

import pytest

from .applications import application, authenticate, copies, deploy, send, session, shop, submit
from .site import HOSTS, on
from .smarthosts import relay, way

# It gives both hosts another inventory.
pytestmark = pytest.mark.together

BULK = application("bulk")
APART = "probe@receiver.receiver.test"
FIRST_DAY, DELAY = 6, 2
# The domains of one receiver, and the level of TLS to each.
KEPT = {"dane.tls.test": "Verified", "sts.tls.test": "Verified", "receiver.test": "Trusted"}
PROGRAM = "python3 -I /etc/postseal/warm_up.py"
UNIT = "postseal-warm-up"
COUNT = "/var/lib/private/postseal-warm-up/count.json"


@pytest.fixture(scope="module", autouse=True)
def today(standing_hosts: None, tmp_path_factory: pytest.TempPathFactory) -> date:
    """Both hosts have a new address today."""
    day = datetime.now(tz=UTC).date()
    for host in HOSTS:
        # The count outlives what counts, too: an earlier run may have left it today.
        on(host, f"rm -f {COUNT}")
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
            "warm_up": {"start": day.isoformat(), "first_day": FIRST_DAY, "growth": 2, "until": 1000},
        },
    )
    assert run.returncode == 0, run.output
    return day


def _log(host: str, since: int) -> str:
    return on(host, f"journalctl -q --namespace=postseal -o short-unix --no-pager --since=@{since}")


def _used(host: str) -> str:
    return on(host, PROGRAM).strip()


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


def test_what_exceeds_the_number_of_the_day_goes_to_the_next_of_its_route(today: date) -> None:
    for host in HOSTS:
        began = int(time.time())
        assert _used(host) == f"{today}: 4 of {FIRST_DAY}"
        two = send(host, shop(), recipients=("probe@receiver.test", "probe1@receiver.test"))
        assert way(two.token).relay == ""
        assert _used(host) == f"{today}: {FIRST_DAY} of {FIRST_DAY}"
        onward = [send(host, shop()), send(host, BULK), send(host, shop(), recipients=(APART,))]
        found = [way(outcome.token) for outcome in onward]
        assert [(one.relay, one.login) for one in found] == [
            ("relay-a", "postseal"),
            ("relay-b", "backup"),
            ("relay-b", "backup"),
        ]
        assert f"6 of 6 of {today} have left directly; goes by via_primary" in _log(host, began)
        # Its recipients have routes of their own, of which none would be kept if all of it went one way.
        mixed = send(host, shop(), recipients=("probe@receiver.test", APART))
        assert mixed.code == 250
        assert way(mixed.token).relay == ""
        assert _used(host) == f"{today}: {FIRST_DAY + 2} of {FIRST_DAY}"


def test_the_count_outlives_restarts_and_nothing_is_lost_without_it(today: date) -> None:
    for host in HOSTS:
        on(host, f"systemctl restart {UNIT}")
        assert way(send(host, shop()).token).relay == "relay-a"
        with session(host) as client:
            assert authenticate(client, shop().login, shop().password)[0] == 235
            first = submit(client, shop())
            # Its connection to Postfix ends with it; the next one waits until it is back.
            on(host, f"systemctl kill -s KILL {UNIT}")
            second = submit(client, shop())
        assert [way(outcome.token).relay for outcome in (first, second)] == ["relay-a"] * 2
        # With its socket: by that alone the next message would start it.
        on(host, f"systemctl stop {UNIT} {UNIT}.socket")
        try:
            assert send(host, shop()).code == 451
        finally:
            on(host, f"systemctl start {UNIT}")
        assert _used(host) == f"{today}: {FIRST_DAY + 2} of {FIRST_DAY}"
        assert on(host, f"stat -c %a {COUNT}; postqueue -p").split("\n")[0] == "644"


def test_it_is_taken_away_with_its_word_in_the_inventory(tmp_path_factory: pytest.TempPathFactory) -> None:
    directory = tmp_path_factory.mktemp("inventory")
    run = deploy(directory, [BULK])
    assert run.returncode == 0, run.output
    for host in HOSTS:
        left = on(host, f"ls /etc/postseal /var/spool/postfix/private; postconf -n; systemctl is-active {UNIT} || true")
        assert "warm_up" not in left
        assert "warm-up" not in left
        assert "inactive" in left
        outcome = send(host, shop())
        assert way(outcome.token).relay == ""
        assert copies(outcome.token) == 1
