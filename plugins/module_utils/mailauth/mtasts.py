# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""MTA-STS (RFC 8461): the record that announces a policy, and the policy: build and parse."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..model.domains import Domain, covers
from . import tags

VERSION = "STSv1"
MODES = ("enforce", "testing", "none")
# RFC 8461 3.2.
LONGEST_AGE = 31557600
PATH = "/.well-known/mta-sts.txt"
_ID = re.compile(r"[A-Za-z0-9]{1,32}")
_FIELD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}")
_MX = re.compile(r"(?:\*\.)?[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")


def record_name(domain: str) -> str:
    """Return where the record of ``domain`` is published."""
    return f"_mta-sts.{domain}"


def policy_host(domain: str) -> str:
    """Return the name that the policy is fetched from (RFC 8461 3.2)."""
    return f"mta-sts.{domain}"


def is_sts(data: bytes) -> bool:
    """Tell whether TXT data is such a record; the others at its name are discarded by senders (RFC 8461 3.1)."""
    return tags.begins_with(data, VERSION)


def build(policy: str) -> bytes:
    """Return the record as TXT data; raises :class:`ValueError` for an id that RFC 8461 does not allow."""
    if not _ID.fullmatch(policy):
        raise ValueError(f"{policy!r} is not 1 to 32 letters and digits (RFC 8461 3.1)")
    return tags.build([("v", VERSION), ("id", policy)])


def parse(data: bytes) -> str:
    """Return the id in the record in TXT data; raises :class:`ValueError` for one that senders discard."""
    found = tags.parse(data)
    if not is_sts(data):
        raise ValueError("v=STSv1 must come first (RFC 8461 3.1)")
    if not _ID.fullmatch(found.get("id", "")):
        raise ValueError("id= must be 1 to 32 letters and digits (RFC 8461 3.1)")
    return found["id"]


@dataclass(frozen=True)
class Policy:
    """How mail to a domain is to be protected (RFC 8461 3.2).

    :param mode: ``enforce``, ``testing`` or ``none``
    :param mx: names of the hosts that receive mail; ``*.`` stands for one label
    :param max_age: for how many seconds senders may remember it
    """

    mode: str
    mx: tuple[str, ...]
    max_age: int

    @property
    def text(self) -> str:
        """The policy as it is served."""
        lines = [f"version: {VERSION}", f"mode: {self.mode}", *(f"mx: {name}" for name in self.mx)]
        return "".join(f"{line}\r\n" for line in (*lines, f"max_age: {self.max_age}"))

    @property
    def id(self) -> str:
        """The id of the record that announces it: another one exactly when the text is another one."""
        return identifier(self.text)

    def covers(self, host: str) -> bool:
        """Tell whether a host that receives mail is among those named (RFC 8461 4.1)."""
        return any(covers(pattern, host) for pattern in self.mx)


def identifier(text: str) -> str:
    """Return the id for the text of a policy: 32 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def parse_policy(text: str) -> Policy:
    """Return the policy in a text, as senders read it: unknown fields are ignored, and so is a field said again.

    Raises :class:`ValueError` for one that they discard, with what is wrong.
    """
    said: dict[str, list[str]] = {}
    for line in filter(None, re.split(r"\r?\n", text)):
        name, colon, value = line.partition(":")
        if not colon or not _FIELD.fullmatch(name):
            raise ValueError(f"{line[:60]!r} is not a field and its value")
        said.setdefault(name, []).append(value.strip(" \t"))
    if said.get("version", [""])[0] != VERSION:
        raise ValueError(f"it does not say version: {VERSION}")
    mode = said.get("mode", [""])[0]
    if mode not in MODES:
        raise ValueError(f"its mode is {repr(mode[:60]) if mode else 'missing'}, not one of {', '.join(MODES)}")
    age = said.get("max_age", [""])[0]
    if not re.fullmatch(r"[0-9]{1,10}", age) or int(age) > LONGEST_AGE:
        raise ValueError(f"its max_age is {repr(age[:60]) if age else 'missing'}, not 0 to {LONGEST_AGE}")
    mx = tuple(name.lower() for name in said.get("mx", ()))
    if not mx and mode != "none":
        raise ValueError("it names no mx")
    if wrong := [name for name in mx if not _MX.fullmatch(name)]:
        raise ValueError(f"mx: {wrong[0][:60]!r} is not a host")
    return Policy(mode, mx, int(age))


def policy_of(domain: Domain, mode: str = "") -> Policy:
    """Return the policy that mail hosts serve for ``domain``, in another ``mode`` than the inventory's where one is
    named; raises :class:`ValueError` if they serve none.
    """
    said = domain.mta_sts
    if said is None or not said.served:
        raise ValueError(f"no policy is served for {domain.name}")
    return Policy(mode or said.mode, said.mx, said.max_age)


def acceptable(domain: Domain) -> tuple[Policy, ...]:
    """Return the policies that may be served for ``domain``, the one that the inventory asks for first: what shall be
    enforced is tested before.
    """
    asked = policy_of(domain)
    return (asked, policy_of(domain, "testing")) if asked.mode == "enforce" else (asked,)


def uncovered(policy: Policy, hosts: Iterable[str]) -> list[str]:
    """Return those of ``hosts`` that mail goes to and the policy does not name."""
    return [host for host in hosts if not policy.covers(host)]


def unready(policy: Policy, hosts: Sequence[str], wrong: Mapping[str, str]) -> list[str]:
    """Return what would keep mail away if a policy were enforced (RFC 8461 4.2).

    :param hosts: where the MX records lead
    :param wrong: what was seen to be wrong with some of them
    """
    said = [f"it does not name {host}, to which mail goes" for host in uncovered(policy, hosts)]
    said += [f"{host} {wrong[host]}" for host in hosts if host in wrong]
    return said if hosts else ["the DNS has no MX record"]
