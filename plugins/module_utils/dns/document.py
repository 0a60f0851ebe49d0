# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Plans as documents: what an operator looks at, keeps, and gives back to have exactly that applied.

Nothing in one is secret: it holds what DNS tells to everybody.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from .errors import PlanError
from .plan import essence, fingerprint_of
from .prepare import Preparation
from .waves import parts

FORMAT = 1
_SHOWN = 12


def document(preparation: Preparation, environment: str, created: str) -> dict[str, Any]:
    """Return the plans as JSON can hold them.

    :param created: when, in ISO 8601
    """
    return {
        "format": FORMAT,
        "plan": preparation.fingerprint,
        "environment": environment,
        "created": created,
        "zones": [
            {
                **essence(item.plan),
                "provider": item.job.provider.name,
                "calls": item.calls * count,
                "atomic": item.atomic and count == 1,
                "findings": [asdict(finding) for finding in item.findings],
                "refusals": [str(error) for error in item.refusals],
            }
            for item, count in zip(preparation.zones, parts(preparation.zones), strict=True)
            if not item.plan.empty
        ],
        "notes": list(preparation.notes),
    }


def approved(read: Any, source: str) -> str:
    """Return the fingerprint of the plan in a document; raises :class:`PlanError` for one that is not what it says.

    :param source: where the document is from, for the message
    """
    try:
        stated = str(read["plan"])
        computed = fingerprint_of(read["zones"])
        known = read["format"] == FORMAT
    except (KeyError, TypeError):
        raise PlanError(f"{source} is not a saved plan", "Make one with -e plan_out=FILE") from None
    if not known:
        raise PlanError(f"{source} has format {read['format']}, and this version knows {FORMAT}", "Make it anew")
    if stated != computed:
        raise PlanError(f"{source} was changed: it says {stated} and holds {computed}", "Make it anew and look at it")
    return stated


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return in lines what the plan in document ``now`` does otherwise than the one in ``then``."""
    old, new = dict(_changes(then)), dict(_changes(now))
    lines = []
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) != new.get(key):
            zone, name, rrtype = key
            lines.append(f"zone {zone}, {name} {rrtype}: {_how(old.get(key), new.get(key))}")
    if then.get("environment") != now.get("environment"):
        lines.insert(0, f"it was made for environment {then.get('environment')}, this is {now.get('environment')}")
    more = len(lines) - _SHOWN
    return lines if more <= 0 else [*lines[:_SHOWN], f"and {more} more record sets"]


def _changes(read: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str, str], Mapping[str, Any]]]:
    for zone in read["zones"]:
        for change in zone["changes"]:
            yield (zone["zone"], change["name"], change["type"]), change


def _how(then: Mapping[str, Any] | None, now: Mapping[str, Any] | None) -> str:
    if now is None:
        return "was to change, and does not any more"
    if then is None:
        return f"was not to change, and would become {_text(now['after'])}"
    if then["before"] != now["before"]:
        return f"held {_text(then['before'])} when the plan was made, holds {_text(now['before'])} now"
    if then["after"] != now["after"]:
        return f"was to become {_text(then['after'])}, would become {_text(now['after'])}"
    return "other values of it would be ours"


def _text(rrset: Mapping[str, Any] | None) -> str:
    if rrset is None:
        return "nothing"
    values: Sequence[str] = rrset["values"]
    return f"{' and '.join(values)} (TTL {rrset['ttl']})"
