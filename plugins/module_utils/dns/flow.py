# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""From prepared plans to the end: show, save, ask for approval, apply, remember. Speaking to DNS needs dnspython."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .authority import WaitPolicy
from .document import approved, differences, document
from .errors import DnsError, PlanError, StoreError
from .execute import Policy, ZoneReport, execute, foresee
from .limits import Limits
from .prepare import Preparation, Prepared
from .store import KEEP, Run, Store, read_json, write_json
from .zonetext import before_and_after


@dataclass(frozen=True)
class Request:
    """What the operator asks for.

    :param environment: on whose behalf
    :param check: show what would be done
    :param plan: fingerprint of the plan to apply, or the file that holds it; empty for whatever the plan is
    :param plan_out: file to write the plan to instead of applying it
    :param wait: seconds to wait for name servers
    :param keep: how many runs and plans to keep
    """

    environment: str
    limits: Limits
    check: bool = False
    plan: str = ""
    plan_out: str = ""
    wait: float = 60.0
    keep: int = KEEP


def carry_out(request: Request, preparation: Preparation, store: Store, tell: Callable[[str], None]) -> dict[str, Any]:
    """Do what ``request`` asks with the plans, and return the result for Ansible; failures are in it, not raised."""
    result: dict[str, Any] = {
        "plan": preparation.fingerprint,
        "notes": list(preparation.notes),
        "findings": [str(finding) for finding in preparation.findings],
        "diff": _diff(preparation),
    }
    try:
        made = document(preparation, request.environment, store.created())
        if request.plan_out:
            hint = "Nothing was changed. Name a file with -e plan_out=FILE, in a folder that exists and can be written"
            result["plan_file"] = str(write_json(Path(request.plan_out).expanduser(), made, hint=hint))
            store.keep_plan(made)
            result["notes"] += _tidied(store, request.keep)
            return {**result, "zones": _told(foresee(preparation)), "changed": False}
        fingerprint, then = _approved(request.plan, store)
        try:
            preparation.check(fingerprint, lambda: differences(then, made) if then else [])
        except DnsError:
            result["notes"] += _remembered(store, made) + _tidied(store, request.keep)
            raise
        if request.check:
            reports = foresee(preparation)
        else:
            preparation.complete()
            reports, result["rollback"] = _apply(request, preparation, store, tell, exact=fingerprint is not None)
            result["notes"] += _tidied(store, request.keep) if result["rollback"] else []
    except DnsError as error:
        return {**result, "failed": True, "msg": str(error)}
    result["zones"] = _told(reports)
    result["changed"] = any(report.written or report.state == "planned" for report in reports)
    failures = [*map(str, preparation.failures), *(report.error for report in reports if report.error)]
    if failures:
        result.update(failed=True, msg="\n".join(failures))
    return result


def _apply(
    request: Request, preparation: Preparation, store: Store, tell: Callable[[str], None], *, exact: bool
) -> tuple[list[ZoneReport], str]:
    """Return what became of the zones and the id by which the run can be taken back, empty if it wrote nothing."""
    run = store.run(preparation.fingerprint)
    policy = Policy(WaitPolicy(request.wait), request.limits, tell, replan=not exact, keep=_keeper(run))
    reports = execute(preparation, policy)
    for report in reports:
        if report.state in ("changed", "unchanged"):
            store.see(report.zone, report.provider, report.owned)
    return reports, run.id


def _keeper(run: Run) -> Callable[[Prepared], None]:
    return lambda item: run.keep(item.job.provider.name, item.plan)


def _approved(plan: str, store: Store) -> tuple[str | None, dict[str, Any] | None]:
    """Return the fingerprint of the plan that is to be applied, and the plan where it was saved."""
    if not plan:
        return None, None
    path = Path(plan).expanduser()
    if path.is_file():
        read = read_json(path)
        return approved(read, str(path)), read
    if "/" in plan or plan.endswith(".json"):
        raise PlanError(f"there is no plan {plan}", "Give a file that -e plan_out wrote, or a fingerprint")
    return plan, store.plan(plan)


def _remembered(store: Store, made: dict[str, Any]) -> list[str]:
    """Save a plan that was refused, so that approving it later can tell what has changed since."""
    try:
        store.keep_plan(made)
    except StoreError as error:
        return [f"the plan is not saved: {error}"]
    return []


def _tidied(store: Store, keep: int) -> list[str]:
    """Remove what is too old to keep; that it cannot be removed is no failure of the run."""
    try:
        store.tidy(keep)
    except StoreError as error:
        return [str(error)]
    return []


def _told(reports: list[ZoneReport]) -> list[dict[str, Any]]:
    return [{**asdict(report), "servers": [str(server) for server in report.servers]} for report in reports]


def _diff(preparation: Preparation) -> list[dict[str, str]]:
    found = []
    for item in preparation.zones:
        if not item.plan.empty:
            before, after = before_and_after(item.plan)
            header = f"zone {item.job.zone}"
            found.append({"before": before, "after": after, "before_header": header, "after_header": header})
    return found
