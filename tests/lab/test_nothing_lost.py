# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Mail goes on while daemons are killed, hosts lose power, disks fill up: what was taken arrives, signed, with no hand.

Each case sends without a pause, all of them together 5,000 messages and more. Queues are flushed at the end of each, so
that nobody has to wait for Postfix' next try (minimal_backoff_time, five minutes); it would have come by itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from secrets import token_hex
from typing import NamedTuple

import pytest

from .applications import application, deploy
from .load import Load, Outcome
from .site import HOSTS, lab, on

# They give both hosts another inventory.
pytestmark = pytest.mark.together

# Its messages are counted, so that Redis is asked for each.
SENDER = application("load", rate={"messages": "1000000/h"})
LIMITS = {"store": {"host": HOSTS[0], "password": token_hex(24)}}
# Nine cases.
MESSAGES = 560
# Where a server was killed before it had done anything, master(8) waits ten seconds (service_throttle_time), and a
# client that it leaves without an answer half a minute (session()).
BACK = 60.0
# What a host had handed over at one time (default_destination_concurrency_limit) and did not hear of may come twice.
AT_ONCE = 20
QUEUE = "/var/spool/postfix"
MASTER = f"$(cat {QUEUE}/pid/master.pid)"
UNIT = "$(systemctl -q is-active postfix@- && echo postfix@- || echo postfix)"


class Harm(NamedTuple):
    """What is killed on a host, by which shell script, and whether Postfix is in the middle of handing mail over."""

    name: str
    script: str
    interrupts: bool = False


KILLED = (
    Harm("master", f"kill -9 {MASTER}", interrupts=True),
    Harm(
        "processes of Postfix",
        f"for n in $(seq 12); do pgrep -P {MASTER} | shuf -n 2 | xargs -r kill -9; sleep 0.5; done",
        interrupts=True,
    ),
    Harm("rspamd", "systemctl kill -s KILL rspamd"),
    Harm("Dovecot", "systemctl kill -s KILL dovecot"),
)
KILL_REDIS = "systemctl kill -s KILL redis-server"


@pytest.fixture(scope="module", autouse=True)
def service(standing_hosts: None, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Both hosts serve the application that sends."""
    run = deploy(tmp_path_factory.mktemp("inventory"), [SENDER], postseal_limits=LIMITS)
    assert run.returncode == 0, run.output


def everywhere(script: str) -> list[str]:
    """Run a shell script on all mail hosts at the same time, and return what each printed."""
    with ThreadPoolExecutor(len(HOSTS)) as pool:
        return list(pool.map(lambda host: on(host, script), HOSTS))


def through(harm: Callable[[], object]) -> Outcome:
    """Do ``harm`` while mail is sent; return what became of the mail once each host has taken more of it."""
    with Load(SENDER, ("shop.test",), session_messages=10) as load:
        load.reach(MESSAGES // 3)
        harm()
        taken_again(load)
        load.reach(MESSAGES)
        return load.stop(BACK, settled)


def taken_again(load: Load) -> None:
    """Wait until each host has taken a message that was sent from now on."""
    before = set(load.outcome.accepted)
    end = time.monotonic() + BACK
    while {load.outcome.accepted[number] for number in set(load.outcome.accepted) - before} != set(HOSTS):
        assert time.monotonic() < end, "mail is not taken again"
        # No more is sent while much waits.
        settled()
        time.sleep(1)


def settled() -> bool:
    """Have the hosts try all that waits, and say whether nothing did."""
    # A Postfix that has just died says so on standard error.
    script = f"exec 2>/dev/null; postqueue -p | tail -n 1; postqueue -f; find {QUEUE}/maildrop -type f | wc -l"
    return all(told.split() == ["Mail", "queue", "is", "empty", "0"] for told in everywhere(script))


def judge(outcome: Outcome, *, interrupted: bool) -> None:
    """All that was taken has arrived signed; what came twice was being handed over when that was ``interrupted``."""
    assert outcome.wrong == []
    assert outcome.refused == []
    assert len(outcome.accepted) >= MESSAGES
    assert outcome.lost == set()
    assert outcome.arrived.keys() == outcome.verified
    if not interrupted:
        assert outcome.copies == {}
    assert len(outcome.copies) <= AT_ONCE * len(HOSTS)
    for entries in outcome.copies.values():
        # One entry of one queue, which never heard that the first copy was taken: not a message that was taken twice.
        ((host, entry),) = set(entries)
        log = on(host, f"journalctl -q --namespace=postseal -o cat -g '{entry}: .*status=sent' || true")
        assert log.count("status=sent") < len(entries), log
    print(
        f"taken {len(outcome.accepted)}, twice {len(outcome.copies)}, unanswered {len(outcome.unanswered)}, "
        f"put off {len(outcome.deferred)}, sessions cut {outcome.broken}"
    )


@pytest.mark.parametrize("harm", KILLED, ids=lambda harm: harm.name)
def test_what_is_killed_comes_back_by_itself(harm: Harm) -> None:
    judge(through(lambda: everywhere(harm.script)), interrupted=harm.interrupts)


def test_counters_that_are_killed_come_back_by_themselves() -> None:
    judge(through(lambda: on(HOSTS[0], KILL_REDIS)), interrupted=False)


def test_a_host_that_lost_power_goes_on_when_it_has_booted() -> None:
    # What was in the page cache survives: this is not the test of a disk that lies (fsync(2)).
    def harm() -> None:
        for host in HOSTS:
            lab("cut", host.partition(".")[0])
            lab("up")

    judge(through(harm), interrupted=True)


# Dovecot and rspamd listen below it.
MOVE = f"""
set -e
unit={UNIT}
systemctl stop $unit dovecot rspamd
"""
SMALL = f"""{MOVE}
mkdir -p /run/kept
cp -a {QUEUE}/. /run/kept
mount -t tmpfs -o mode=755,size=80m tmpfs {QUEUE}
cp -a /run/kept/. {QUEUE}
mount -t tmpfs -o mode=755 tmpfs {QUEUE}/pid
cp -a /run/kept/pid/. {QUEUE}/pid
systemctl start dovecot rspamd $unit
"""
LARGE = f"""{MOVE}
rm -rf /run/kept
umount {QUEUE}/pid {QUEUE}
systemctl start dovecot rspamd $unit
"""


@pytest.fixture(scope="module")
def small_disk(service: None) -> Iterator[None]:
    """The queue of each host is on a file system of its own."""
    everywhere(SMALL)
    yield
    everywhere(LARGE)


FULL = f"dd if=/dev/zero of={QUEUE}/filler bs=64k 2>/dev/null || true; sleep 5; rm {QUEUE}/filler"
# Files that are being written keep it from becoming read-only, so applications are cut off until there are none.
READ_ONLY = f"""
nft add table inet test
nft add chain inet test in '{{ type filter hook input priority 0; }}'
nft add rule inet test in tcp dport 465 drop
for n in $(seq 500); do mount -o remount,ro {QUEUE} 2>/dev/null && break; sleep 0.05; done
nft delete table inet test
grep -q ' {QUEUE} tmpfs ro,' /proc/mounts
sleep 8
mount -o remount,rw {QUEUE}
"""


@pytest.mark.usefixtures("small_disk")
def test_a_full_disk_puts_mail_off() -> None:
    outcome = through(lambda: everywhere(FULL))
    judge(outcome, interrupted=True)
    assert any(answer.startswith("452 ") for answer in outcome.deferred), outcome.deferred[:3]


@pytest.mark.usefixtures("small_disk")
def test_a_queue_that_cannot_be_written_to_takes_nothing() -> None:
    judge(through(lambda: everywhere(READ_ONLY)), interrupted=True)


# As a resolver that is dead answers.
NO_RESOLVER = """
nft add table inet test
nft add chain inet test out '{ type filter hook output priority 0; }'
nft add rule inet test out meta l4proto { tcp, udp } th dport 53 reject
"""
# The clock is the machine's own and cannot be moved. The queue is what it would have left behind: entries of an hour
# ahead, where it has gone back, and of last week.
OTHER_TIMES = f"""
cd {QUEUE}
find deferred -type f | shuf > /run/entries
half=$(($(wc -l < /run/entries) / 2))
test $half -gt 5
head -n $half /run/entries | xargs touch -d '+1 hour'
tail -n $half /run/entries | xargs touch -d '-7 days'
rm /run/entries
"""


def test_without_a_resolver_mail_waits_and_a_clock_that_was_wrong_does_not_matter() -> None:
    def harm() -> None:
        everywhere(NO_RESOLVER)
        try:
            time.sleep(8)
            everywhere(OTHER_TIMES)
        finally:
            everywhere("nft delete table inet test")

    judge(through(harm), interrupted=False)


def test_what_a_killed_daemon_was_writing_does_not_keep_a_run_from_going(tmp_path: Path) -> None:
    # As cleanup(8) leaves it behind; Postfix itself takes it away after a week.
    half = f"{QUEUE}/incoming/123456.789"
    everywhere(f"install -o postfix -m 600 /dev/null {half}")
    try:
        run = deploy(tmp_path, [SENDER], postseal_limits=LIMITS, postfix_root_recipient="root@shop.test")
    finally:
        everywhere(f"rm {half}")
    assert run.returncode == 0, run.output
