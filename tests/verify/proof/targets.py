# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What there is to look at: the addresses and ports that a model promises."""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.postseal.mail.plugins.module_utils.model.types import Model


@dataclass(frozen=True)
class Endpoint:
    """One port of one address of a mail host. ``name`` is what clients connect to, and what they send as SNI."""

    host: str
    name: str
    address: str
    port: int
    implicit_tls: bool

    def __str__(self) -> str:
        address = f"[{self.address}]" if ":" in self.address else self.address
        return f"{self.host} {address}:{self.port}"

    @property
    def context(self) -> dict[str, str]:
        """Return what a remedy may want to mention."""
        return {"host": self.host, "name": self.name, "address": self.address, "port": str(self.port)}


def endpoints(model: Model) -> tuple[Endpoint, ...]:
    """Return every submission port of every address of every host, IPv4 first."""
    return tuple(
        Endpoint(
            host=host.name,
            name=model.service_names(host)[-1],
            address=address,
            port=port,
            implicit_tls=port == model.submission.ports.implicit_tls,
        )
        for host in model.hosts
        for address in host.addresses
        for port in model.submission.ports.all
    )


def first_address(model: Model, found: tuple[Endpoint, ...]) -> tuple[Endpoint, ...]:
    """Return the endpoints on each host's first address: for questions whose answer cannot depend on the address."""
    first = {host.name: host.addresses[0] for host in model.hosts}
    return tuple(endpoint for endpoint in found if endpoint.address == first[endpoint.host])


def host_names(model: Model) -> tuple[str, ...]:
    """Return the names of the mail hosts and the name they share, each once."""
    shared = model.submission.hostname
    return tuple(dict.fromkeys((*(host.name for host in model.hosts), *([shared] if shared else []))))
