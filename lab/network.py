# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The lab's cables: one bridge, one network namespace per host, one nftables table for the way out."""

from __future__ import annotations

import ipaddress
import json
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import config
from .run import LabError, attempt, run

FORWARD = Path("/proc/sys/net/ipv4/ip_forward")
FORWARD_BEFORE = config.STATE / "ip_forward"
TABLE = "postseal_lab"
NETNS_PREFIX = "pslab-"
LINK_PREFIX = "psl-"

# Hosts reach the package mirror through the machine, and nothing of what they mail ever leaves it.
RULES = """
table ip {table}
delete table ip {table}
table ip {table} {{
  chain forward {{
    type filter hook forward priority filter - 10; policy accept;
    iifname "{bridge}" oifname != "{bridge}" tcp dport {{ 25, 465, 587 }} reject with tcp reset
  }}
  chain postrouting {{
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr {network} oifname != "{bridge}" masquerade
  }}
}}
"""


def ip_json(*arguments: str) -> list[dict[str, Any]]:
    """What `ip -j` says; an empty list when the thing asked for is not there."""
    done = attempt(["ip", "-j", *arguments])
    return json.loads(done.stdout or "[]") if done.returncode == 0 else []


def ensure(lab: config.Lab) -> None:
    """Bridge, addresses, forwarding and NAT; LabError if somebody else uses the lab's addresses."""
    network = lab.network
    refuse_foreign(network)
    here = ip_json("-d", "link", "show", "dev", network.bridge)
    if here and here[0].get("linkinfo", {}).get("info_kind") != "bridge":
        raise LabError(
            f"there is an interface {network.bridge} on this machine that is no bridge; remove it: "
            f"`ip link delete {network.bridge}`"
        )
    if not here:
        run(["ip", "link", "add", network.bridge, "type", "bridge", "forward_delay", "0", "mcast_snooping", "0"])
    # A bridge takes the lowest address of its ports if it has none of its own, and changes it when a host goes.
    address = hardware_address(network.controller.ipv4)
    run(["ip", "link", "set", network.bridge, "address", address, "up"])
    v4 = f"{network.controller.ipv4}/{network.ipv4.prefixlen}"
    run(["ip", "address", "replace", v4, "dev", network.bridge])
    v6 = f"{network.controller.ipv6}/{network.ipv6.prefixlen}"
    run(["ip", "-6", "address", "replace", v6, "dev", network.bridge, "nodad"])
    for host in lab.hosts:
        # Hosts that run on while somebody removed the bridge under them.
        if ip_json("link", "show", "dev", host.link):
            run(["ip", "link", "set", host.link, "master", network.bridge, "up"])
    run(["nft", "-f", "-"], stdin=RULES.format(table=TABLE, bridge=network.bridge, network=network.ipv4))
    if FORWARD.read_text().strip() != "1":
        FORWARD_BEFORE.write_text(FORWARD.read_text())
        FORWARD.write_text("1")


def refuse_foreign(network: config.Network) -> None:
    """LabError if another interface holds an address, or leads a route, inside the lab's networks."""
    for link in ip_json("address", "show"):
        if link.get("ifname") == network.bridge:
            continue
        for entry in link.get("addr_info", []):
            address = ipaddress.ip_interface(f"{entry['local']}/{entry['prefixlen']}")
            if any(address.network.overlaps(mine) for mine in (network.ipv4, network.ipv6)
                   if mine.version == address.version):  # fmt: skip
                raise LabError(
                    f"the lab's network is taken: interface {link['ifname']} has the address {address}. "
                    f"Remove it: `ip address delete {address} dev {link['ifname']}`"
                )
    for family, mine in (("-4", network.ipv4), ("-6", network.ipv6)):
        for route in ip_json(family, "route", "show", "root", str(mine)):
            if route.get("dev") != network.bridge:
                raise LabError(
                    f"the lab's network is taken: {mine} is routed to {route.get('dev')}. Remove that route: "
                    f"`ip route delete {route.get('dst')} dev {route.get('dev')}`"
                )


def plug_in(host: config.Host, network: config.Network) -> None:
    """Give HOST a network namespace with its addresses, before it boots: services find them at their start."""
    unplug(host)
    run(["ip", "netns", "add", host.netns])
    peer = ["peer", "name", "host0", "address", hardware_address(host.address), "netns", host.netns]
    run(["ip", "link", "add", host.link, "type", "veth", *peer])
    run(["ip", "link", "set", host.link, "master", network.bridge, "up"])
    commands = ["link set lo up", "link set host0 up"]
    for name in host.names:
        commands += [
            f"address add {name.ipv4}/{network.ipv4.prefixlen} dev host0",
            # nodad: an address that is still being probed cannot be bound to.
            f"-6 address add {name.ipv6}/{network.ipv6.prefixlen} dev host0 nodad",
        ]
    commands.append(f"route add default via {network.controller.ipv4}")
    batch = [command for command in commands if not command.startswith("-6 ")]
    batch6 = [command.removeprefix("-6 ") for command in commands if command.startswith("-6 ")]
    run(["ip", "-n", host.netns, "-batch", "-"], stdin="\n".join(batch) + "\n")
    run(["ip", "-6", "-n", host.netns, "-batch", "-"], stdin="\n".join(batch6) + "\n")


def hardware_address(ipv4: str) -> str:
    """The MAC address that goes with an IPv4 address: always the same, because neighbours remember it for a while."""
    return ":".join(f"{byte:02x}" for byte in b"\x02\x97" + ipaddress.IPv4Address(ipv4).packed)


def unplug(host: config.Host) -> None:
    """Remove the cable and the namespace of HOST, if they are there."""
    attempt(["ip", "link", "delete", host.link])
    attempt(["ip", "netns", "delete", host.netns])


def remains(lab: config.Lab) -> Iterator[list[str]]:
    """The commands that remove what is still there of the lab's network, also of hosts lab.toml no longer names."""
    for link in ip_json("link", "show"):
        if link["ifname"].startswith(LINK_PREFIX) or link["ifname"] == lab.network.bridge:
            yield ["ip", "link", "delete", link["ifname"]]
    for namespace in ip_json("netns", "list"):
        if namespace["name"].startswith(NETNS_PREFIX):
            yield ["ip", "netns", "delete", namespace["name"]]
    if shutil.which("nft") and attempt(["nft", "list", "table", "ip", TABLE]).returncode == 0:
        yield ["nft", "delete", "table", "ip", TABLE]


def remove(lab: config.Lab) -> None:
    """Remove all of it and put forwarding back to what it was."""
    for command in remains(lab):
        run(command)
    if FORWARD_BEFORE.exists():
        FORWARD.write_text(FORWARD_BEFORE.read_text())
        FORWARD_BEFORE.unlink()
    directory = Path("/run/netns")
    if directory.is_dir() and not any(directory.iterdir()):
        # `ip netns add` mounts this directory on itself and leaves that behind.
        attempt(["umount", str(directory)])
        attempt(["rmdir", str(directory)])


def answers(address: str, port: int, greeting: bytes = b"") -> bool:
    """Whether something at ADDRESS and PORT accepts a connection and begins with GREETING."""
    try:
        with socket.create_connection((address, port), timeout=1) as connection:
            connection.settimeout(2)
            return not greeting or connection.recv(len(greeting)) == greeting
    except OSError:
        return False
