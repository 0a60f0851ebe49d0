# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The lab's zones: what lab.toml says, as DNS understands it."""

from __future__ import annotations

import dns.name
import dns.rdatatype
import dns.reversename
import dns.zone
import pytest
from ansible_collections.postseal.mail.lab import config, zones

LAB = config.load()


def load(zone: str) -> dns.zone.Zone:
    return dns.zone.from_text(zones.zone_file(LAB, zone), origin=f"{zone}.", relativize=False)


@pytest.mark.parametrize("zone", zones.every_zone(LAB))
def test_every_zone_loads_and_names_both_servers(zone: str) -> None:
    servers = {item.to_text() for item in load(zone).find_rdataset("@", "NS")}
    assert servers == {"ns1.lab.test.", "ns2.lab.test."}


@pytest.mark.parametrize("zone", LAB.dynamic_zones)
def test_dynamic_zones_are_empty_at_first(zone: str) -> None:
    kinds = {rdataset.rdtype for _name, rdataset in load(zone).iterate_rdatasets()}
    assert kinds == {dns.rdatatype.SOA, dns.rdatatype.NS}


def test_every_address_points_back_to_its_name() -> None:
    four, six = (load(zone) for zone in zones.reverse_zones(LAB))
    for name in LAB.names:
        for zone, address in ((four, name.ipv4), (six, name.ipv6)):
            pointer = zone.find_rdataset(dns.reversename.from_address(address), "PTR")
            assert [item.to_text() for item in pointer] == [f"{name.name}."]


def test_no_two_hosts_share_an_address() -> None:
    addresses = [address for name in LAB.names for address in (name.ipv4, name.ipv6)]
    assert len(set(addresses)) == len(addresses)


def test_links_fit_into_an_interface_name() -> None:
    assert [host.link for host in LAB.hosts if len(host.link) > 15] == []
