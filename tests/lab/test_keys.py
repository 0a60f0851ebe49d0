# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""DKIM keys on two signing hosts: one set, whoever holds it, and never a second one by accident."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .site import HOSTS, on, play

# Of the lab's own domain: those of domains that the inventory has no more stay where they are, and go nowhere else.
DIGESTS = "cd /etc/postseal/dkim && find shop.test -name '*.key' | sort | xargs sha256sum"
SET_ASIDE = "rm -rf /root/dkim.aside && mv /etc/postseal/dkim /root/dkim.aside"
PUT_BACK = "test ! -d /root/dkim.aside || { rm -rf /etc/postseal/dkim && mv /root/dkim.aside /etc/postseal/dkim; }"


pytestmark = pytest.mark.usefixtures("standing_site")


@pytest.fixture(autouse=True)
def untouched() -> Iterator[None]:
    yield
    for host in HOSTS:
        on(host, PUT_BACK)


def test_both_hosts_hold_the_same_keys() -> None:
    first, second = (on(host, DIGESTS) for host in HOSTS)
    assert first.count("shop.test/lab-") == 2
    assert first == second


@pytest.mark.parametrize("loser", HOSTS)
def test_a_host_without_keys_gets_the_same_ones_again(loser: str) -> None:
    before = on(loser, DIGESTS)
    on(loser, SET_ASIDE)
    run = play("playbooks/keys.yml", "-vvv", "--diff")
    assert run.returncode == 0, run.output
    assert on(loser, DIGESTS) == before
    assert run.changed() == {"localhost": 0, **{host: int(host == loser) for host in HOSTS}}, run.output
    seed = on(loser, "cat /etc/postseal/dkim/shop.test/*.ed25519.key").strip()
    assert seed not in run.output
    assert "PRIVATE KEY" not in run.output


def test_no_new_key_is_made_while_a_host_that_may_hold_it_is_not_asked() -> None:
    on(HOSTS[0], SET_ASIDE)
    run = play("playbooks/keys.yml", "--limit", HOSTS[0])
    assert run.returncode != 0
    assert f"{HOSTS[1]} was not asked" in " ".join(run.output.split())
    assert "key" not in on(HOSTS[0], "ls -R /etc/postseal/dkim 2>/dev/null || true")


def test_a_key_that_others_may_read_is_closed_again() -> None:
    on(HOSTS[0], "chmod 0644 /etc/postseal/dkim/shop.test/*.rsa2048.key")
    assert play("playbooks/keys.yml", "--check").changed() == {"localhost": 0, HOSTS[0]: 1, HOSTS[1]: 0}
    assert play("playbooks/keys.yml").changed() == {"localhost": 0, HOSTS[0]: 1, HOSTS[1]: 0}
    assert on(HOSTS[0], "stat -c %a /etc/postseal/dkim/shop.test/*.rsa2048.key").strip() == "640"
