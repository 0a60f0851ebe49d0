# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What the inventory says of each application: its secret, as whom and from where it sends, how much and how long."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from .secret import Secret

PERIODS = {60: "m", 3600: "h", 86400: "d"}


def end_of(day: date) -> int:
    """Return the first second after ``day`` in UTC, as seconds since the epoch."""
    after = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
    return int(after.timestamp())


@dataclass(frozen=True, order=True)
class Quota:
    """At most ``count`` in each period of ``seconds`` (60, 3600 or 86400); as text ``500/h``."""

    seconds: int
    count: int

    def __str__(self) -> str:
        return f"{self.count}/{PERIODS[self.seconds]}"


@dataclass(frozen=True)
class Rate:
    """How much may be sent: one quota a period, the shortest period first; empty means without limit."""

    messages: tuple[Quota, ...] = ()
    recipients: tuple[Quota, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.messages or self.recipients)


@dataclass(frozen=True)
class Credential:
    """One application's credential, in force on the day the model was read.

    :param secret_hash: hash of the password in Dovecot's notation; ``None`` only for a revoked credential
    :param senders: addresses or ``@domain`` that the application may write as
    :param networks: where it may log in from; empty for anywhere
    :param previous_hash: hash of the password before the last rotation, while that one is still valid
    :param previous_until: the last day (UTC) on which the previous password is valid
    :param rate: its own limits, or the environment's where it has none
    :param expires: the last day (UTC) on which the credential is valid
    :param stream: a label for routing, logs and metrics
    :param secret: the password itself where the inventory has it, from a vault
    :param suspended: shut out until somebody lifts it; the password stays the same
    :param revoked: shut out for good; the entry stays, so that logs can name it
    """

    name: str
    domain: str
    secret_hash: Secret | None
    senders: tuple[str, ...]
    networks: tuple[str, ...] = ()
    previous_hash: Secret | None = None
    previous_until: date | None = None
    rate: Rate = field(default_factory=Rate)
    expires: date | None = None
    stream: str | None = None
    secret: Secret | None = None
    suspended: bool = False
    revoked: bool = False

    @property
    def login(self) -> str:
        """What the application types as its user name."""
        return f"{self.name}@{self.domain}"

    @property
    def active(self) -> bool:
        """Whether it may log in at all."""
        return self.secret_hash is not None and not self.suspended and not self.revoked

    @property
    def expires_at(self) -> int | None:
        """Seconds since the epoch from which on the credential is not valid any more; ``None`` for never."""
        return None if self.expires is None else end_of(self.expires)

    @property
    def previous_ends_at(self) -> int | None:
        """Seconds since the epoch from which on the previous password is not valid any more."""
        return None if self.previous_until is None else end_of(self.previous_until)


@dataclass(frozen=True)
class Probe:
    """The message that the proof sends: by which credential, to whom, and where the controller can read it."""

    credential: str
    secret: Secret
    recipient: str
    mailbox: str
