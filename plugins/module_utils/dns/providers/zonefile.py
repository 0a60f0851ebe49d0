# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Zone files (RFC 1035 5) in a directory of the controller, for zones that somebody loads or pastes by hand.

``<zone>.zone`` is what the zone holds and, after a run, what it shall hold. Whether name servers have it yet is asked
of them as of every other provider's.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import dns.exception
import dns.rdataset
import dns.rdatatype
import dns.zone

from ...model.providers import ZoneFile as Settings
from ..errors import ProviderError, Refused, ZoneNotFound
from ..plan import ZonePlan
from ..records import Key
from ..snapshot import Change, Snapshot
from ..wire import GENERATED, absolute, plain, rdata_of, rrset_of, value_of
from .base import Batch, Capabilities, Server
from .guard import require_unchanged, values_after
from .nameservers import Locate, NameServers, public
from .presentation import check

HEAD = "; Postseal writes this file: it keeps the records of others, but no comments and no directives."
_MAX_SERIAL = 2**32 - 1
_NAME_ONLY = dns.rdatatype.SOA

Signed: TypeAlias = Callable[[str], bool]


class ZoneFileProvider:
    """The zone files of one directory.

    :param resolvers: who knows the addresses of name servers; empty: whom this machine asks
    :param locate: returns the servers to wait for, in place of the zone's NS set
    :param signed: tells whether a zone is signed in public; the file need not show it, where the server signs
    """

    caps = Capabilities(atomic="zone")

    def __init__(
        self,
        settings: Settings,
        resolvers: Sequence[str] = (),
        *,
        locate: Locate | None = None,
        signed: Signed | None = None,
    ) -> None:
        self.name = settings.name
        self._directory = Path(settings.directory).expanduser()
        self._variable = f"postseal_dns.providers.{settings.name}.directory"
        self._locate = locate or NameServers(resolvers)
        self._signed = signed or (lambda zone: public(self.name, zone, "DNSKEY", resolvers) is not None)

    def zone_of(self, name: str) -> str:
        """Return the longest zone with a file that holds ``name``; see :class:`.base.Provider`."""
        if not self._directory.is_dir():
            message = f"{self._directory} is no directory of the controller"
            raise ProviderError(self.name, "", message, f"Correct {self._variable}")
        zone = name
        while zone:
            if "/" not in zone and self._path(zone).is_file():
                return zone
            zone = zone.partition(".")[2]
        hint = "Put the zone there as its name servers have it now: your provider can export it, or kdig ZONE AXFR"
        raise ZoneNotFound(self.name, "", f"{self._directory} has no file for {name}, like {name}.zone", hint)

    def _path(self, zone: str) -> Path:
        return self._directory / f"{zone}.zone"

    def fetch(self, zone: str, keys: Collection[Key]) -> Snapshot:
        """Return the whole zone; see :class:`.base.Provider`."""
        copy = self._parsed(zone, self._read(zone))
        signed = any(key[1] == "TLSA" for key in keys) and self._signed(zone)
        return _snapshot(zone, copy, signed=signed)

    def _read(self, zone: str) -> str:
        path = self._path(zone)
        try:
            return path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise ZoneNotFound(self.name, zone, f"there is no file {path}", "Put the zone there") from None
        except (OSError, UnicodeDecodeError) as error:
            raise ProviderError(self.name, zone, f"{path} cannot be read: {error}", "Let us read it") from None

    def _parsed(self, zone: str, text: str) -> dns.zone.Zone:
        try:
            # What another directive would do to the zone is not seen here, and would be lost.
            return dns.zone.from_text(text, absolute(zone), relativize=False, allow_directives={"$ORIGIN", "$TTL"})
        except (dns.exception.DNSException, ValueError) as error:
            message = f"{self._path(zone)} is not a zone file: {error or type(error).__name__}"
            hint = "Correct it; of directives only $ORIGIN and $TTL are understood"
            raise ProviderError(self.name, zone, message, hint) from None

    def render(self, plan: ZonePlan, snapshot: Snapshot) -> Sequence[Batch]:
        """Return the one rewrite that ``plan`` takes; see :class:`.base.Provider`."""
        check(self.name, plan.zone, plan.changes)
        if any(rrtype == "RRSIG" for _, rrtype in snapshot.native):
            message = f"{self._path(plan.zone)} holds signatures, which a change would make void"
            raise Refused(self.name, plan.zone, message, "Put the zone there as it is before it is signed")
        return [Batch(plan.changes, None)]

    def apply(self, zone: str, batch: Batch) -> None:
        """Rewrite the file, all or nothing; see :class:`.base.Provider`."""
        with self._locked(zone):
            before = self._read(zone)
            copy = self._parsed(zone, before)
            require_unchanged(self.name, zone, batch.changes, _snapshot(zone, copy, signed=False).rrsets)
            for change in batch.changes:
                _change(copy, change)
            old = _raise_serial(copy)
            path = self._path(zone).resolve()
            if not before.startswith(HEAD):
                _keep(path, old)
            _replace(path, written(zone, copy))

    @contextmanager
    def _locked(self, zone: str) -> Iterator[None]:
        try:
            handle = os.open(self._directory, os.O_RDONLY)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX)
                yield
            finally:
                os.close(handle)
        except OSError as error:
            message = f"{self._path(zone)} cannot be written: {error.strerror or error}"
            raise ProviderError(self.name, zone, message, f"Let us write to {self._directory}") from None

    def authorities(self, snapshot: Snapshot) -> Sequence[Server]:
        """Return the servers of the zone's NS set, every address of each."""
        return self._locate(snapshot)


def _snapshot(zone: str, copy: dns.zone.Zone, *, signed: bool) -> Snapshot:
    native: dict[Key, object] = {}
    rrsets = {}
    for name, rdataset in copy.iterate_rdatasets():
        key = (plain(name), dns.rdatatype.to_text(rdataset.rdtype))
        native[key] = rdataset
        if key[1] not in GENERATED:
            rrsets[key] = rrset_of(key[0], rdataset, key[1], rdataset.ttl)
    return Snapshot(zone, int(_soa(copy)[0].serial), rrsets, signed=signed, native=native)


def _soa(copy: dns.zone.Zone) -> dns.rdataset.Rdataset:
    assert copy.origin is not None  # noqa: S101  # it was given
    return copy.find_rdataset(copy.origin, "SOA")


def _change(copy: dns.zone.Zone, change: Change) -> None:
    """Make one change; values that stay are written as they were, cut into strings in their own way."""
    name, rrtype = absolute(change.key[0]), dns.rdatatype.from_text(change.key[1])
    found = copy.get_rdataset(name, rrtype) or ()
    kept, new = values_after(change, map(value_of, found))
    data = [rdata for rdata in found if value_of(rdata) in kept] + [rdata_of(change.key[1], value) for value in new]
    copy.delete_rdataset(name, rrtype)
    if data:
        ttl = change.after.ttl if change.after else change.before.ttl if change.before else 0
        copy.replace_rdataset(name, dns.rdataset.from_rdata_list(ttl, data))


def _raise_serial(copy: dns.zone.Zone) -> int:
    """Raise the zone's serial number by one (RFC 1982), and return the old one."""
    soa = _soa(copy)
    old = int(soa[0].serial)
    assert copy.origin is not None  # noqa: S101  # it was given
    copy.replace_rdataset(copy.origin, dns.rdataset.from_rdata(soa.ttl, soa[0].replace(serial=old % _MAX_SERIAL + 1)))
    return old


def written(zone: str, copy: dns.zone.Zone) -> str:
    """Return the zone as text that every name server and most web forms take: one record a line, nothing implied."""
    sets = sorted(
        copy.iterate_rdatasets(), key=lambda found: (found[0], found[1].rdtype != _NAME_ONLY, found[1].rdtype)
    )
    lines = [
        f"{name} {rdataset.ttl} IN {dns.rdatatype.to_text(rdataset.rdtype)} {text}"
        for name, rdataset in sets
        for text in sorted(rdata.to_text() for rdata in rdataset)
    ]
    return "\n".join([HEAD, f"$ORIGIN {zone}.", *lines, ""])


def _keep(path: Path, serial: int) -> None:
    """Keep a file that somebody wrote beside the one that we write: its comments are nowhere else."""
    number = 0
    while True:
        beside = path.with_name(f"{path.name}.{serial}" + (f".{number}" if number else ""))
        try:
            os.link(path, beside)
        except FileExistsError:
            number += 1
        else:
            return


def _replace(path: Path, text: str) -> None:
    """Put ``text`` in the place of the file, with the old one's owner and rights; never half of it."""
    old = path.stat()
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with open(handle, "w", encoding="utf-8") as file:
            file.write(text)
            os.fchmod(handle, old.st_mode & 0o7777)
            if (old.st_uid, old.st_gid) != (os.getuid(), os.getgid()):
                os.fchown(handle, old.st_uid, old.st_gid)
            file.flush()
            os.fsync(handle)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
