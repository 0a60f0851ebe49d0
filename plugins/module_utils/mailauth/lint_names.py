# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Rules for names and for records that lead to hosts: MX, SRV, CNAME, CAA; and for the sizes of them all."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

from ..dns.findings import Finding
from ..dns.records import CHUNK, Key, canonical_name
from ..model.services import ISSUER_NAMES
from . import caa, spf
from .rules import Unresolvable, View, finding

_MAX_NAME, _MAX_LABEL = 253, 63
_MAX_DATA = 65535
# What every resolver takes in one UDP packet without fragments; less header, question and the OPT record.
_ANSWER = 1232 - 12 - 11
_RECORD_HEAD = 12
_METHOD = "http-01"


def check_sizes(view: View, key: Key) -> Iterator[Finding]:
    """Yield what does not fit into the DNS."""
    name, rrtype = key
    if len(name) > _MAX_NAME or any(len(label) > _MAX_LABEL for label in name.split(".")):
        message = f"it has {len(name)} octets; {_MAX_NAME} may be in a name and {_MAX_LABEL} in a label"
        yield finding("name-length", key, message, "Shorten the domain, the selector or postseal_environment")
    if rrtype != "TXT":
        return
    lengths = [len(value) + len(value) // CHUNK + 1 for value in view.values(key)]
    for length in lengths:
        if length > _MAX_DATA:
            yield finding("txt-length", key, f"a value takes {length} octets of {_MAX_DATA}", "Shorten it")
    answer = sum(lengths) + _RECORD_HEAD * len(lengths) + len(name) + 2 + 4
    if answer > _ANSWER:
        fix = "Remove values that nobody needs, such as tokens of services that are no longer used"
        yield finding("txt-answer", key, f"{len(lengths)} values take {answer} octets of {_ANSWER}", fix)


def check_cname(view: View, key: Key) -> Iterator[Finding]:
    """Yield what is wrong with an alias."""
    name = key[0]
    if len(view.values(key)) > 1:
        yield finding("cname-several", key, f"it leads to {' and '.join(map(str, view.values(key)))}", "Remove one")
    beside = sorted({rrtype for owner, rrtype in view.rrsets if owner == name and rrtype != "CNAME"})
    if beside:
        yield finding("cname-alone", key, f"{', '.join(beside)} stands beside it", "Remove one of the two")


def check_mx(view: View, key: Key) -> Iterator[Finding]:
    """Yield what is wrong with the hosts that receive mail."""
    hosts = [str(value).split()[-1] for value in view.values(key)]
    if "." in hosts:
        if len(hosts) > 1:
            others = ", ".join(host for host in hosts if host != ".")
            yield finding("mx-null", key, f"the null MX stands beside {others}", "Remove one of the two")
        records = [value for value in view.values((key[0], "TXT")) if isinstance(value, bytes) and spf.is_spf(value)]
        if records and records != [spf.for_nobody().encode()]:
            message = "it takes no mail, and its SPF record lets hosts send: bounces are lost, some receivers refuse"
            yield finding("mx-null-sender", key, message, "Name an MX, or park the domain")
    yield from _hosts(view, key, [host for host in hosts if host != "."], "mx")


def check_sender(view: View, name: str) -> Iterator[Finding]:
    """Yield whether a domain of ours that hosts may send as has neither an MX nor an address (RFC 5321 5.1)."""
    records = [value for value in view.values((name, "TXT")) if isinstance(value, bytes) and spf.is_spf(value)]
    if records in ([], [spf.for_nobody().encode()]):
        return
    key = (name, "MX")
    try:
        if not view.resolve(name, "MX") and not view.reachable(name):
            message = "there is neither an MX nor an address: bounces, postmaster@ and abuse@ reach nobody"
            yield finding("mx-missing", key, message, "Name an MX that takes them, in mx of the domain")
    except Unresolvable as error:
        yield finding("unresolved", key, f"it cannot be looked up: {error}")


def check_srv(view: View, key: Key) -> Iterator[Finding]:
    """Yield what is wrong with the hosts that offer a service; a target of a dot says that there is none."""
    hosts = [str(value).split()[-1] for value in view.values(key)]
    yield from _hosts(view, key, [host for host in hosts if host != "."], "srv")


def _hosts(view: View, key: Key, hosts: list[str], kind: str) -> Iterator[Finding]:
    for host in map(canonical_name, hosts):
        if kind == "mx" and _is_address(host):
            yield finding("mx-address", key, f"{host} is an address", "Name the host that has it")
            continue
        try:
            alias = view.resolve(host, "CNAME")
            if alias:
                message = f"{host} is an alias of {canonical_name(str(alias[0]))}"
                yield finding(f"{kind}-alias", key, message, "Name that host itself")
            elif not view.reachable(host):
                yield finding(f"{kind}-unresolved", key, f"{host} has no address", "Correct the name or publish it")
        except Unresolvable as error:
            yield finding("unresolved", key, f"{host} cannot be looked up: {error}")


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def check_certificates(view: View, name: str) -> Iterator[Finding]:
    """Yield whether CAA keeps our authority from certifying a name of the service (RFC 8659 3: the nearest set counts).

    Nothing is said about an authority whose name in CAA records is not known.
    """
    said = view.model.tls.caa
    issuer = said.issuer if said else ISSUER_NAMES.get(view.model.tls.directory, "")
    key = (name, "CAA")
    place = name
    while issuer and "." in place:
        try:
            found = view.resolve(place, "CAA")
        except Unresolvable as error:
            yield finding("unresolved", key, f"CAA of {place} cannot be looked up: {error}")
            return
        if found:
            if not _allows(issuer, [str(value) for value in found]):
                fix = f'Add {place}. CAA 0 issue "{issuer}", or say postseal_tls.caa for the names of the service'
                yield finding("caa-issuer", key, f"{place} has CAA records, and none lets {issuer} certify", fix)
            return
        place = place.partition(".")[2]


def _allows(issuer: str, values: list[str]) -> bool:
    asked = []
    for value in values:
        try:
            asked.append(caa.parse(value))
        except ValueError:
            continue
    issue = [found for found in asked if found.tag == "issue"]
    return not issue or any(found.issuer == issuer and _by_our_method(found) for found in issue)


def _by_our_method(found: caa.Caa) -> bool:
    methods = [value for name, value in found.parameters if name == "validationmethods"]
    return not methods or _METHOD in methods[0].split(",")
