# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""lab.toml as frozen dataclasses, and the places on this machine that belong to the lab."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

HERE = Path(__file__).resolve().parent
FILES = HERE / "files"

STATE = Path("/var/lib/postseal-lab")  # lives as long as the lab
CACHE = Path("/var/cache/postseal-lab")  # survives `lab down`
LOCK = Path("/run/postseal-lab.lock")

SSH = STATE / "ssh"
SECRETS = STATE / "secrets"
PKI = STATE / "pki"
MAIL = STATE / "mail"
HOSTS = STATE / "hosts"
CA_BUNDLE = STATE / "ca.pem"
ANCHORS = STATE / "anchors"
TREES = CACHE / "trees"
ARCHIVES = CACHE / "archives"


@dataclass(frozen=True)
class Name:
    """One name and its pair of addresses."""

    name: str
    ipv4: str
    ipv6: str


@dataclass(frozen=True)
class Host:
    """One booted Debian system. `names[0]` carries the address it is managed by."""

    name: str
    fqdn: str
    release: str
    user: str
    packages: tuple[str, ...]
    names: tuple[Name, ...]

    @property
    def address(self) -> str:
        """The IPv4 address that SSH connects to."""
        return self.names[0].ipv4

    @property
    def directory(self) -> Path:
        """What the host has written (overlay), its console and what it was made of."""
        return HOSTS / self.name

    @property
    def netns(self) -> str:
        """The name of its network namespace, as `ip netns` shows it."""
        return f"pslab-{self.name}"

    @property
    def link(self) -> str:
        """The machine's end of its cable; at most 15 characters."""
        return f"psl-{self.name}"


@dataclass(frozen=True)
class Network:
    """The bridge and the two networks on it."""

    bridge: str
    ipv4: IPv4Network
    ipv6: IPv6Network
    controller: Name
    resolver: str


@dataclass(frozen=True)
class Lab:
    """Everything lab.toml says."""

    network: Network
    base: tuple[str, ...]
    hosts: tuple[Host, ...]
    static_zones: dict[str, tuple[str, ...]]
    dynamic_zones: tuple[str, ...]
    policies: dict[str, dict[str, str]]
    certified: tuple[str, ...]
    tsig: str

    def host(self, name: str) -> Host:
        """The host called NAME; KeyError if there is none."""
        return {host.name: host for host in self.hosts}[name]

    @property
    def names(self) -> tuple[Name, ...]:
        """Every named address of the lab, the controller's first."""
        return (self.network.controller, *(name for host in self.hosts for name in host.names))


def load() -> Lab:
    """Read lab.toml."""
    data = tomllib.loads((HERE / "lab.toml").read_text())
    network = data["network"]
    return Lab(
        network=Network(
            bridge=network["bridge"],
            ipv4=IPv4Network(network["ipv4"]),
            ipv6=IPv6Network(network["ipv6"]),
            controller=Name(**network["controller"]),
            resolver=network["resolver"],
        ),
        base=tuple(data["base"]["packages"]),
        hosts=tuple(
            Host(
                name=name,
                fqdn=host["fqdn"],
                release=host["release"],
                user=host["user"],
                packages=tuple(host["packages"]),
                names=tuple(Name(**entry) for entry in host["names"]),
            )
            for name, host in data["hosts"].items()
        ),
        static_zones={zone: tuple(records) for zone, records in data["zones"]["static"].items()},
        dynamic_zones=tuple(data["zones"]["dynamic"]),
        policies=data["zones"]["policies"],
        certified=tuple(data["zones"]["certified"]),
        tsig=data["zones"]["tsig"],
    )
