# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What the controller keeps about DNS: plans that were shown, record sets as each run found them, and what it saw last.

    plans/<fingerprint>.json     a plan that can be approved by its fingerprint
    runs/<id>/<zone>.json        what a run found before it wrote, to go back to
    zones/<zone>.json            how many values of ours were there at the end of the last run

Files are readable by their owner only (0600 in folders of 0700), and complete or not there at all. Of plans and runs
the latest are kept.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar
from urllib.parse import quote

from .errors import StoreError
from .plan import ZonePlan, told
from .records import Key, RRset, unquoted
from .restore import SavedSet
from .snapshot import Mark

FORMAT = 1
LAST = "last"
KEEP = 50
"""How many runs, and how many plans, are kept unless the operator says otherwise."""

_GOING = ".going-"
_ID = re.compile(r"[0-9]{8}T[0-9]{6}\.[0-9]{3}Z-[0-9a-f]{8}(-[0-9]+)?")
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")
R = TypeVar("R")


def now() -> datetime:
    """Return the time in UTC."""
    return datetime.now(UTC)


class Store:
    """The folder of one environment. All methods raise :class:`StoreError` for what cannot be written or read."""

    def __init__(self, folder: Path, clock: Callable[[], datetime] = now) -> None:
        self.folder, self._clock = folder, clock

    def created(self) -> str:
        """Return the time in ISO 8601."""
        return self._clock().isoformat(timespec="seconds")

    def keep_plan(self, document: dict[str, Any]) -> Path:
        """Save a plan so that its fingerprint is enough to find it again."""
        return self.write(self.folder / "plans" / f"{document['plan']}.json", document)

    def plan(self, fingerprint: str) -> dict[str, Any] | None:
        """Return the plan with that fingerprint, ``None`` if it was not saved here."""
        path = self.folder / "plans" / f"{fingerprint}.json"
        return read_json(path) if _FINGERPRINT.fullmatch(fingerprint) and path.exists() else None

    def run(self, fingerprint: str) -> Run:
        """Return where a run that applies the plan ``fingerprint`` saves what it finds; its folder is made later."""
        time = self._clock()
        # Ids sort by time, also those of runs within a second.
        return Run(self, f"{time:%Y%m%dT%H%M%S}.{time.microsecond // 1000:03d}Z-{fingerprint[:8]}")

    def runs(self) -> list[str]:
        """Return the ids of saved runs, the oldest first."""
        folder = self.folder / "runs"
        try:
            return sorted(found.name for found in folder.iterdir() if _ID.fullmatch(found.name))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise _unreadable(folder, error) from error

    def tidy(self, keep: int = KEEP) -> None:
        """Remove all runs but the latest ``keep``, at least one, and all plans but as many that were saved last."""
        runs, plans = self.folder / "runs", self.folder / "plans"
        try:
            for old in self.runs()[: -max(keep, 1)]:
                # At once out of sight: half of a run must never be gone back to.
                (runs / old).replace(runs / f"{_GOING}{old}")
            for gone in runs.glob(f"{_GOING}*"):
                shutil.rmtree(gone)
            saved = [path for path in plans.glob("*.json") if _FINGERPRINT.fullmatch(path.stem)]
            for path in sorted(saved, key=lambda path: (path.stat().st_mtime_ns, path.name))[: -max(keep, 1)]:
                path.unlink()
        except OSError as error:
            hint = "Remove old runs by hand, and see who owns the folder"
            raise StoreError(f"cannot tidy up {self.folder}: {error.strerror or error}", hint) from error

    def load(self, wanted: str) -> tuple[str, dict[tuple[str, str], tuple[SavedSet, ...]]]:
        """Return the id of a run (``last``: the latest) and what it found, by (provider, zone)."""
        runs = self.runs()
        found = (runs[-1] if runs else None) if wanted == LAST else wanted
        if found not in runs:
            known = f"The latest are {', '.join(runs[-5:])}" if runs else f"{self.folder} holds none"
            raise StoreError(f"no run {wanted} is saved in {self.folder}", known)
        saved = [read_json(path) for path in sorted((self.folder / "runs" / found).glob("*.json"))]
        try:
            return found, {
                (zone["provider"], zone["zone"]): tuple(_saved_set(zone["owner"], item) for item in zone["sets"])
                for zone in saved
                if zone["format"] == FORMAT
            }
        except (KeyError, TypeError, ValueError) as error:
            raise StoreError(f"run {found} in {self.folder} is damaged: {error!r}", "Choose another") from error

    def see(self, zone: str, provider: str, owned: int) -> None:
        """Remember how many values of ours a zone holds now."""
        path = self._zone(zone)
        seen = {"format": FORMAT, "zone": zone, "provider": provider, "owned": owned}
        if not path.exists() or read_json(path) != seen:
            self.write(path, seen)

    def owned(self) -> dict[str, int]:
        """Return how many values of ours each zone held when it was last seen."""
        try:
            return {str(found["zone"]): int(found["owned"]) for found in map(read_json, self._seen())}
        except (KeyError, TypeError, ValueError) as error:
            raise StoreError(f"a file in {self.folder / 'zones'} is damaged: {error!r}", "Remove it") from error

    def _seen(self) -> list[Path]:
        return sorted((self.folder / "zones").glob("*.json"))

    def _zone(self, zone: str) -> Path:
        return self.folder / "zones" / f"{quote(zone, safe='')}.json"

    def write(self, path: Path, content: dict[str, Any], *, durable: bool = False) -> Path:
        """Write a file below the folder, which is made if it is not there."""
        _private(self.folder, path.parent)
        return write_json(path, content, durable=durable)


class Run:
    """What one run finds before it writes. Its zones may save at the same time."""

    def __init__(self, store: Store, wanted: str) -> None:
        self._store, self._wanted, self._lock = store, wanted, Lock()
        self.id = ""
        self._sets: dict[tuple[str, str], dict[Key, SavedSet]] = {}

    def keep(self, provider: str, plan: ZonePlan) -> None:
        """Save the sets that ``plan`` is about to change. A second plan for the same zone adds to the first.

        A set that an earlier attempt has written stays saved as it was before that.
        """
        with self._lock:
            folder = self._folder()
            sets = self._sets.setdefault((provider, plan.zone), {})
        for change in plan.changes:
            if change.guarded:
                earlier = sets.get(change.key)
                wrote = earlier is not None and earlier.after == change.before != earlier.before
                before, held = (
                    (earlier.before, earlier.held) if earlier and wrote else (change.before, plan.held.get(change.key))
                )
                sets[change.key] = SavedSet(change.key, before, change.after, held)
        content = {
            "format": FORMAT,
            "zone": plan.zone,
            "provider": provider,
            "owner": plan.owner,
            "sets": [_told(sets[key]) for key in sorted(sets)],
        }
        name = f"{quote(provider, safe='')}_{quote(plan.zone, safe='')}.json"
        self._store.write(folder / name, content, durable=True)

    def _folder(self) -> Path:
        """Return the folder of this run; the first zone makes it, under a name that nobody has."""
        runs, number = self._store.folder / "runs", 1
        while not self.id:
            name = self._wanted if number == 1 else f"{self._wanted}-{number}"
            _private(self._store.folder, runs)
            try:
                (runs / name).mkdir(mode=0o700)
            except FileExistsError:
                number += 1
            except OSError as error:
                raise _unwritable(runs / name, error) from error
            else:
                self.id = name
        return runs / self.id


def _told(item: SavedSet) -> dict[str, Any]:
    held = item.held
    return {
        "name": item.key[0],
        "type": item.key[1],
        "before": told(item.before),
        "after": told(item.after),
        "ours": sorted(held.digests) if held else [],
        "share": None if held is None or held.share is None else held.share.hex(),
    }


def _saved_set(owner: str, read: dict[str, Any]) -> SavedSet:
    key = (str(read["name"]), str(read["type"]))
    share = None if read["share"] is None else bytes.fromhex(read["share"])
    held = Mark(owner, key, frozenset(read["ours"]), share) if read["ours"] else None
    return SavedSet(key, _rrset(key, read["before"]), _rrset(key, read["after"]), held)


def _rrset(key: Key, read: dict[str, Any] | None) -> RRset | None:
    if read is None:
        return None
    values: Iterable[str] = read["values"]
    return RRset.of(*key, int(read["ttl"]), [unquoted(text) if key[1] == "TXT" else text for text in values])


def read_json(path: Path) -> Any:
    """Return what a file holds; raises :class:`StoreError` for one that cannot be read or is not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise _unreadable(path, error) from error
    except ValueError as error:
        raise StoreError(f"{path} is not JSON: {error}", "Restore or remove it") from error


def write_json(path: Path, content: dict[str, Any], *, durable: bool = False, hint: str = "") -> Path:
    """Write a file of 0600 that is complete or, after a crash, the one before; raises :class:`StoreError`.

    :param durable: return only when it would survive a loss of power
    :param hint: what to do where it cannot be written, if it is no file of the store
    """
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(content, file, indent=1)
                file.write("\n")
                file.flush()
                if durable:
                    os.fsync(file.fileno())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise _unwritable(path, error, hint) from error
    return path


def _private(top: Path, folder: Path) -> None:
    """Make ``folder`` and those between it and ``top`` with access for their owner only."""
    try:
        top.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in (top, *reversed([parent for parent in folder.parents if top in parent.parents]), folder):
            path.mkdir(mode=0o700, exist_ok=True)
            path.chmod(0o700)
    except OSError as error:
        raise _unwritable(folder, error) from error


def _unwritable(path: Path, error: OSError, hint: str = "") -> StoreError:
    ours = "Nothing is changed in DNS without it. Make the folder writable, or name another with -e dns_store=FOLDER"
    return StoreError(f"cannot write {path}: {error.strerror or error}", hint or ours)


def _unreadable(path: Path, error: OSError) -> StoreError:
    return StoreError(f"cannot read {path}: {error.strerror or error}", "See who owns it")
