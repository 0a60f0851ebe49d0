# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The lab's zones as text: zone files (RFC 1035 5) and the lists that Knot and Unbound read."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from .config import Lab, Name

SERVERS = ("ns1.lab.test.", "ns2.lab.test.")

# Seconds. Short, so that no test waits for a cache: records and the negative answer (RFC 2308).
HEAD = """$TTL 5
@ SOA ns1.lab.test. hostmaster.lab.test. 1 5 5 86400 1
@ NS ns1.lab.test.
@ NS ns2.lab.test.
"""


def reverse_zones(lab: Lab) -> tuple[str, str]:
    """The names of the IPv4 and the IPv6 reverse zone."""
    v4 = ".".join(reversed(str(lab.network.ipv4.network_address).split(".")[:3]))
    nibbles = lab.network.ipv6.network_address.exploded.replace(":", "")[: lab.network.ipv6.prefixlen // 4]
    return f"{v4}.in-addr.arpa", f"{'.'.join(reversed(nibbles))}.ip6.arpa"


def every_zone(lab: Lab) -> tuple[str, ...]:
    """All zones, static, reverse and dynamic."""
    return (*lab.static_zones, *reverse_zones(lab), *lab.dynamic_zones)


def zone_file(lab: Lab, zone: str, receiver_key: str = "00" * 32) -> str:
    """The text of a zone file before its first start; TLSA records name ``receiver_key``, a digest in hexadecimal."""
    text = HEAD + "".join(f"{record}\n" for record in records(lab, zone))
    return text.replace("{receiver_key}", receiver_key)


def records(lab: Lab, zone: str) -> Iterable[str]:
    """What is in ZONE beside SOA and NS."""
    if zone in lab.dynamic_zones:
        return
    for name in lab.names:
        if name.name.endswith(f".{zone}"):
            yield f"{name.name}. A {name.ipv4}"
            yield f"{name.name}. AAAA {name.ipv6}"
        yield from pointers(name, zone)
    yield from lab.static_zones.get(zone, ())


def pointers(name: Name, zone: str) -> Iterable[str]:
    """The PTR records of NAME that lie in ZONE."""
    for address in (name.ipv4, name.ipv6):
        owner = ipaddress.ip_address(address).reverse_pointer
        if owner.endswith(f".{zone}"):
            yield f"{owner}. PTR {name.name}."


def knot_zones(lab: Lab, *, secondary: bool) -> str:
    """The items of a `zone:` section of knot.conf."""
    lines = []
    for zone in every_zone(lab):
        lines.append(f"  - domain: {zone}")
        if zone in lab.dynamic_zones and not secondary:
            lines.append("    template: dynamic")
    return "\n".join(lines)


def stub_zones(lab: Lab) -> str:
    """The `stub-zone:` clauses of unbound.conf: any of the zone's servers may be asked, as in the world outside."""
    servers = [name.ipv4 for name in lab.names if f"{name.name}." in SERVERS]
    clauses = []
    for zone in every_zone(lab):
        clauses += ["stub-zone:", f'    name: "{zone}."', *(f"    stub-addr: {server}" for server in servers)]
    return "\n".join(clauses)
