# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Every DNS service that has a provider class of octoDNS (https://github.com/octodns/octodns#providers).

octoDNS reads the zone and writes whole record sets; what they hold is decided here, so values of others stay. Its
classes do not promise that a plan is done as a whole, and tell of the first error only.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from threading import Lock
from typing import Any, TypeAlias

import dns.exception
import dns.resolver
from octodns.zone import Zone

from ...model.providers import OctoDns as Settings
from ...model.secret import Secret
from ..authority import resolver
from ..errors import (
    ConflictError,
    DnsError,
    InvalidRecord,
    MissingLibrary,
    ProviderError,
    Refused,
    TransportError,
    ZoneNotFound,
)
from ..order import stages
from ..plan import ZonePlan
from ..records import Key, RRset, canonical_name, shown, within
from ..snapshot import Change, Snapshot
from ..wire import absolute, plain
from .base import Batch, Capabilities, Server
from .guard import require_unchanged
from .nameservers import Locate, NameServers, public
from .octodns_records import changed, is_plain, key_of, rrset_of, writable
from .presentation import check

Apex: TypeAlias = Callable[[str, str], RRset | None]
"""Returns what the world sees at the apex of a zone, by type."""

_SHOWN = 400


class OctoDnsProvider:
    """One provider class of octoDNS with its options.

    :param resolvers: who knows zones and the addresses of name servers; empty: whom this machine asks
    :param locate: returns the servers to wait for, in place of the zone's NS set
    :param apex: replaces the look at the zone's apex through the resolvers
    """

    caps = Capabilities(atomic="none")

    def __init__(
        self,
        settings: Settings,
        resolvers: Sequence[str] = (),
        *,
        locate: Locate | None = None,
        apex: Apex | None = None,
    ) -> None:
        self.name, self._class = settings.name, settings.provider_class
        self._variable = f"postseal_dns.providers.{settings.name}"
        self._resolvers = resolvers
        self._locate = locate or NameServers(resolvers)
        self._apex = apex or (lambda zone, rrtype: public(self.name, zone, rrtype, resolvers))
        # octoDNS runs one provider in one thread.
        self._lock = Lock()
        self._listed: list[str] | None = None
        self._secrets, options = _revealed(settings)
        self._provider = self._made(options)

    def _made(self, options: dict[str, Any]) -> Any:
        module, _, name = self._class.rpartition(".")
        try:
            found = getattr(import_module(module), name)
        except ImportError as error:
            package = (error.name or module).partition(".")[0].replace("_", "-")
            hint = f"Install {package} for the Python that runs Ansible on the controller, or correct {self._variable}"
            message = f"the Python module {error.name or module} of {self._class} is missing"
            raise MissingLibrary(self.name, "", message, f"{hint}.class") from None
        except AttributeError:
            message = f"{module} has no class {name}"
            raise ProviderError(self.name, "", message, f"Correct {self._variable}.class") from None
        try:
            return found(self.name, **options)
        except Exception as error:  # whatever a class makes of wrong options
            message = f"{self._class} does not take its options: {self._told(error)}"
            raise ProviderError(self.name, "", message, f"Correct {self._variable}.options") from None

    def zone_of(self, name: str) -> str:
        """Return the zone that holds ``name``, from the class's list or by asking DNS; see :class:`.base.Provider`."""
        zones = self._zones()
        if zones is None:
            zones = [self._cut(name)]
        zone = max((zone for zone in zones if within(name, zone)), key=len, default="")
        if not zone:
            hint = f"Create the zone of {name} there, or give postseal_dns.zones the provider that has it"
            raise ZoneNotFound(self.name, "", f"{self._class} has no zone for {name}", hint)
        return zone

    def _zones(self) -> list[str] | None:
        """Return all zones of the provider, ``None`` if its class cannot list them."""
        with self._lock:
            if self._listed is None and hasattr(self._provider, "list_zones"):
                with self._explained("", "list zones"):
                    self._listed = [canonical_name(zone) for zone in self._provider.list_zones()]
            return self._listed

    def _cut(self, name: str) -> str:
        try:
            return plain(dns.resolver.zone_for_name(absolute(name), resolver=resolver(self._resolvers)))
        except dns.exception.DNSException as error:
            message = f"no resolver tells the zone of {name}: {error}"
            raise TransportError(self.name, "", message, "Check postseal_dns.resolvers") from None

    def fetch(self, zone: str, keys: Collection[Key]) -> Snapshot:
        """Return the whole zone, with SOA and NS from DNS where the provider does not list them."""
        with self._lock:
            found = self._populated(zone)
        native: dict[Key, object] = {key_of(record): record for record in found.records}
        rrsets = {key: rrset_of(record) for key, record in native.items()}
        for rrtype in ("SOA", "NS"):
            seen = None if (zone, rrtype) in rrsets else self._apex(zone, rrtype)
            if seen:
                rrsets[zone, rrtype] = seen
        signed = any(rrtype == "TLSA" for _, rrtype in keys) and self._apex(zone, "DNSKEY") is not None
        soa = rrsets.get((zone, "SOA"))
        serial = int(str(soa.values[0]).split()[2]) if soa else 0
        return Snapshot(zone, serial, rrsets, signed=signed, native=native)

    def _populated(self, zone: str) -> Zone:
        found = Zone(f"{zone}.", [])
        with self._explained(zone, "read the zone"):
            exists = self._provider.populate(found, target=True, lenient=True)
        # Classes that do not tell return None; what they then read tells as much.
        if not (exists or (exists is None and found.records)):
            raise ZoneNotFound(self.name, zone, f"{self._class} does not have it", "Create it there")
        return found

    def render(self, plan: ZonePlan, snapshot: Snapshot) -> Sequence[Batch]:
        """Return what ``plan`` becomes: registry, records, registry; see :class:`.base.Provider`."""
        check(self.name, plan.zone, plan.changes)
        for change in plan.changes:
            self._check(plan.zone, change, snapshot)
        # How many requests a class makes is its own affair; most make one for each record set.
        return [Batch(part, None, calls=len(part)) for part in stages(plan.changes)]

    def _check(self, zone: str, change: Change, snapshot: Snapshot) -> None:
        name, rrtype = change.key
        if rrtype not in self._provider.SUPPORTS:
            raise InvalidRecord(self.name, zone, f"{name} {rrtype}: {self._class} knows no {rrtype} records")
        odd = [value for value in change.adds if not writable(value)]
        if odd:
            message = f"{name} {rrtype} cannot be {shown(odd[0])}: classes of octoDNS disagree on how to write that"
            raise InvalidRecord(self.name, zone, message, "Keep to ASCII without quotes and backslashes")
        found = snapshot.native.get(change.key)
        if found is not None and not is_plain(found):
            message = f"{name} {rrtype} is steered by health or place there"
            raise Refused(self.name, zone, message, "Replace it by a plain record set, or use another name")

    def apply(self, zone: str, batch: Batch) -> None:
        """Look whether the sets are still as they were, and let octoDNS write; see :class:`.base.Provider`.

        What somebody else writes to the same sets between the two can be lost: octoDNS has no condition on a write.
        """
        with self._lock:
            now = self._populated(zone)
            native = {key_of(record): record for record in now.records}
            sets = {key: rrset_of(record) for key, record in native.items()}
            require_unchanged(self.name, zone, batch.changes, sets)
            desired = now.copy()
            for change in batch.changes:
                record = native.get(change.key)
                made = changed(desired, record, change)
                if made is not None:
                    desired.add_record(made, replace=True, lenient=True)
                elif record is not None:
                    desired.remove_record(record)
            if desired.root_ns and not self._provider.SUPPORTS_ROOT_NS:
                desired.remove_record(desired.root_ns)
            with self._explained(zone, "plan the change"):
                plan = self._provider.plan(desired, lenient=True)
            if plan is None:
                return
            ours = {change.key for change in batch.changes}
            foreign = [key_of(change.record) for change in plan.changes if key_of(change.record) not in ours]
            if foreign:
                # The class would change what we did not ask for, or somebody wrote between its look and ours.
                message = f"the zone changed while we looked at it ({foreign[0][0]} {foreign[0][1]})"
                raise ConflictError(self.name, zone, message, "Run dns.yml again")
            with self._explained(zone, "write the change", maybe_applied=True):
                self._provider.apply(plan)

    def authorities(self, snapshot: Snapshot) -> Sequence[Server]:
        """Return the servers of the zone's NS set, every address of each."""
        return self._locate(snapshot)

    @contextmanager
    def _explained(self, zone: str, purpose: str, *, maybe_applied: bool = False) -> Iterator[None]:
        """Turn whatever a class raises into an error without secrets."""
        try:
            yield
        except DnsError:
            raise
        except Exception as error:  # classes raise what their libraries raise
            message = f"{self._class} cannot {purpose}: {self._told(error)}"
            hint = f"Check {self._variable}.options, and what its documentation says of them"
            raise TransportError(self.name, zone, message, hint, maybe_applied=maybe_applied) from None

    def _told(self, error: Exception) -> str:
        said = " ".join(f"{type(error).__name__}: {error}".split())
        for secret in self._secrets:
            said = said.replace(secret, str(Secret("")))
        return said if len(said) <= _SHOWN else said[: _SHOWN - 3] + "..."


def _revealed(settings: Settings) -> tuple[list[str], dict[str, Any]]:
    """Return all texts among the options, longest first, and the options as the class takes them."""
    secrets: list[str] = []

    def reveal(value: Any) -> Any:
        if isinstance(value, tuple):
            return [reveal(element) for element in value]
        if isinstance(value, Secret):
            secrets.append(value.reveal())
            return value.reveal()
        return value

    options = {key: reveal(value) for key, value in settings.options}
    return sorted(secrets, key=len, reverse=True), options
