# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Decide what issuing, rotating, suspending or revoking does to a credential, from what the inventory says of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

ISSUE, ROTATE, REVOKE, REVOKE_PREVIOUS, SUSPEND, RESUME = (
    "issue",
    "rotate",
    "revoke",
    "revoke previous",
    "suspend",
    "resume",
)
WITH_PASSWORD = (ISSUE, ROTATE)
_PREVIOUS = ("previous_hash", "previous_until")


class RotationError(Exception):
    """What was asked for makes no sense for this credential; the text says why and what to do."""


@dataclass(frozen=True)
class Steps:
    """What to do to the keys of one credential, and to say afterwards. ``put`` has no ``secret_hash`` yet.

    :param new: the credential is not in the inventory yet
    """

    new: bool = False
    put: Mapping[str, str | bool] = field(default_factory=dict)
    remove: tuple[str, ...] = ()
    rename: Mapping[str, str] = field(default_factory=dict)
    note: str = ""

    @property
    def nothing(self) -> bool:
        """Whether all is as it was asked for already."""
        return not (self.new or self.put or self.remove or self.rename)


def find(listed: Sequence[Mapping[str, Any]], name: str) -> int | None:
    """Return the place of the credential with that name or login; raises :class:`RotationError` if several have it."""
    name = name.lower()
    found = [place for place, entry in enumerate(listed) if name in (_name(entry), login(entry))]
    if len(found) > 1:
        logins = ", ".join(login(listed[place]) for place in found)
        raise RotationError(f"{name} is the name of several credentials; say which: {logins}")
    return found[0] if found else None


def login(entry: Mapping[str, Any]) -> str:
    """Return the login of a credential as the inventory has it."""
    return f"{_name(entry)}@{str(entry.get('domain', '')).lower().rstrip('.')}"


def _name(entry: Mapping[str, Any]) -> str:
    return str(entry.get("name", "")).lower()


def steps(what: str, entry: Mapping[str, Any] | None, today: date, overlap: int) -> Steps:
    """Return what ``what`` does to ``entry``, which is ``None`` for a credential that is not there.

    ``overlap`` is for how many days the password before a rotation stays valid; 0 ends it at once.
    Raises :class:`RotationError`.
    """
    if entry is None:
        if what != ISSUE:
            raise RotationError(f"there is no such credential to {what}")
        return Steps(new=True, note="issued")
    revoked = entry.get("revoked") not in (None, False)
    if what in WITH_PASSWORD and entry.get("secret") is not None:
        raise RotationError("its password stands in the inventory (secret); change it there, in your vault")
    if what == ISSUE:
        if entry.get("secret_hash") is not None and not revoked:
            raise RotationError("it has a password already; -e rotate=true gives it another one")
        gone = tuple(key for key in (*_PREVIOUS, "revoked") if key in entry)
        return Steps(put={"secret_hash": ""}, remove=gone, note="issued")
    if what in (REVOKE, RESUME, SUSPEND):
        return _shut(what, entry, today, revoked)
    if revoked:
        raise RotationError("it is revoked; without any more words it is issued anew")
    if what == REVOKE_PREVIOUS:
        gone = tuple(key for key in _PREVIOUS if key in entry)
        return Steps(remove=gone, note="the previous password has ended")
    return _rotate(entry, today, overlap)


def _shut(what: str, entry: Mapping[str, Any], today: date, revoked: bool) -> Steps:
    if what == REVOKE:
        return Steps() if revoked else Steps(put={"revoked": today.isoformat()}, note="revoked")
    suspended = entry.get("suspended") is True
    if what == SUSPEND:
        return Steps() if suspended else Steps(put={"suspended": True}, note="suspended")
    return Steps(remove=("suspended",), note="no longer suspended") if "suspended" in entry else Steps()


def _rotate(entry: Mapping[str, Any], today: date, overlap: int) -> Steps:
    if entry.get("secret_hash") is None:
        raise RotationError("it has no password yet; without rotate one is issued")
    gone = tuple(key for key in _PREVIOUS if key in entry)
    if not overlap:
        return Steps(put={"secret_hash": ""}, remove=gone, note="rotated; the old password has ended")
    until = str(entry.get("previous_until") or "")
    if until >= today.isoformat():
        raise RotationError(
            f"the password before this one is valid until {until} still, and only two can be; end it with "
            "-e revoke=previous first, or end both with -e rotate=true -e overlap=0d"
        )
    last = (today + timedelta(days=overlap)).isoformat()
    return Steps(
        put={"secret_hash": "", "previous_until": last},
        remove=tuple(key for key in gone if key != "previous_until"),
        rename={"secret_hash": "previous_hash"},
        note=f"rotated; the old password is valid until {last} (UTC, inclusive)",
    )
