# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Judgements about the state of a host (shape: :func:`host.condition.collect`), one line for each thing wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

LEAST_FREE = 0.10
MOST_DEFERRED = 1000
CLOCK_SECONDS = 5.0


def open_firewall(chains: Sequence[Mapping[str, str]] | None) -> list[str]:
    """Return why packets that no rule allows come in all the same."""
    if not chains:
        return ["no firewall filters what comes in"]
    if any(chain["policy"] == "drop" or chain["last"] in ("drop", "reject") for chain in chains):
        return []
    return [f"{chain['table']} ends in {chain['last'] or chain['policy']}" for chain in chains]


def restarts_outstanding(condition: Mapping[str, Any]) -> list[str]:
    """Return what still runs although an update has replaced it."""
    lines = ["the host asks to be restarted"] if condition["reboot"] else []
    return lines + [f"{program} runs a replaced {', '.join(old)}" for program, old in condition["outdated"].items()]


def clock_off(clock: float, asked: tuple[float, float]) -> float:
    """Return by how many seconds a clock that was read between two moments of ours is off at least."""
    return max(asked[0] - clock, clock - asked[1], 0.0)


def no_room(condition: Mapping[str, Any]) -> list[str]:
    """Return what is nearly full, and queues that are not as they should be."""
    lines = [
        f"{path} has {share:.0%} of its {what} left"
        for path, free in condition["space"].items()
        for what, share in free.items()
        if share < LEAST_FREE
    ]
    queue = condition["queue"]
    if queue["corrupt"]:
        lines.append(f"{queue['corrupt']} messages are damaged (queue corrupt)")
    if queue["deferred"] > MOST_DEFERRED:
        lines.append(f"{queue['deferred']} messages wait for another attempt")
    return lines


def password_logins(ssh: Mapping[str, str]) -> list[str]:
    """Return the ways in which sshd(8) takes a password (shape: :func:`host.surroundings.ssh`)."""
    # Every list of methods that starts, or goes on, with a key needs a key (sshd_config(5), AuthenticationMethods).
    lists = [listed.split(",") for listed in ssh["authenticationmethods"].split()]
    if lists and all(any(method.startswith("publickey") for method in listed) for listed in lists):
        return []
    options = {
        "passwordauthentication": "PasswordAuthentication",
        "kbdinteractiveauthentication": "KbdInteractiveAuthentication",
    }
    return [f"{name} is {ssh[option]}" for option, name in options.items() if ssh[option] != "no"]
