# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Everything that can go wrong between a claim and a published record; each says what was found and what to do.

No message holds a secret: providers name the variable that holds it instead.
"""

from __future__ import annotations

from collections.abc import Sequence


class DnsError(Exception):
    """Base of all. ``hint`` is the remedy, a sentence for the operator."""

    def __init__(self, message: str, hint: str = "") -> None:
        self.message, self.hint = message, hint
        super().__init__(f"{message}. {hint}" if hint else message)


class Several(DnsError):
    """More than one thing is wrong; ``errors`` holds them all."""

    def __init__(self, errors: Sequence[DnsError]) -> None:
        self.errors = tuple(errors)
        super().__init__("\n".join(str(error) for error in errors))


class ProviderError(DnsError):
    """A provider refused or failed. ``provider`` is its name in the inventory, ``zone`` may be empty."""

    def __init__(self, provider: str, zone: str, message: str, hint: str = "") -> None:
        self.provider, self.zone = provider, zone
        where = f"DNS provider {provider}, zone {zone}" if zone else f"DNS provider {provider}"
        super().__init__(f"{where}: {message}", hint)


class MissingLibrary(ProviderError):
    """The provider's Python library is not installed on the controller."""


class AuthError(ProviderError):
    """The provider does not accept our key."""


class Refused(ProviderError):
    """The key is right but may not do this."""


class ZoneNotFound(ProviderError):
    """The provider holds no zone of that name."""


class ConflictError(ProviderError):
    """Somebody changed the zone between our look and our write; nothing was written."""


class InvalidRecord(ProviderError):
    """The provider cannot hold such a record."""


class TransportError(ProviderError):
    """No usable answer came. ``maybe_applied`` tells whether a write may have happened all the same."""

    def __init__(self, provider: str, zone: str, message: str, hint: str = "", *, maybe_applied: bool = False) -> None:
        self.maybe_applied = maybe_applied
        super().__init__(provider, zone, message, hint)


class RateLimited(ProviderError):
    """The provider did nothing because it was asked too often. ``retry_after`` is how long to wait, in seconds."""

    def __init__(self, provider: str, zone: str, message: str, hint: str = "", *, retry_after: float = 0.0) -> None:
        self.retry_after = retry_after
        super().__init__(provider, zone, message, hint)


class PartialApply(ProviderError):
    """The provider wrote some of a batch and refused the rest; reading again tells which."""


class Unverified(ProviderError):
    """The provider accepted the write, and reading back shows something else."""


class Lagging(ProviderError):
    """Authoritative servers do not answer with the new records in time."""


class HeldBack(ProviderError):
    """Record sets were not written because those of another zone that they lead to could not be."""


class PlanError(DnsError):
    """A plan cannot be made or will not be applied."""


class OwnershipConflict(PlanError):
    """A value that is not ours stands where our claim belongs."""


class LimitExceeded(PlanError):
    """The plan changes more than the inventory allows, or something that is never changed unasked.

    ``final``: not even the plan's fingerprint gets past it.
    """

    def __init__(self, message: str, hint: str = "", *, final: bool = False) -> None:
        self.final = final
        super().__init__(message, hint)


class LintError(PlanError):
    """What would be published is wrong by a rule of its standard."""


class StoreError(DnsError):
    """What the controller keeps about DNS cannot be written or read."""
