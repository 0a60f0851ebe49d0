# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The report as JSON. Its shape is in ``report.schema.json``, whose version the report carries."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ansible_collections.postseal.mail.plugins.plugin_utils.replies import seen

from .catalogue import catalogue
from .changes import Changes
from .outcome import Result, Results, Status
from .run import Run
from .views import Readiness, readiness

# Changes when a reader has to change: something is gone, renamed or means another thing. Additions do not count.
SCHEMA = 2
SCHEMA_FILE = Path(__file__).resolve().parent.parent / "report.schema.json"


def document(results: Results, run: Run) -> dict[str, Any]:
    """Return the JSON report."""
    count = Counter(result.status for result in results.items)
    return {
        "schema": SCHEMA,
        "environment": run.environment,
        "started": run.began.isoformat(timespec="seconds"),
        "seconds": round(run.seconds, 3),
        "hosts": list(run.hosts),
        "domains": list(run.domains),
        "connections": dict(run.connections),
        "exit_code": results.exit_code,
        "summary": {status.value: count[status] for status in Status},
        "results": [_entry(result) for result in results.items],
        "expiries": [
            {**asdict(one), "at": one.at.isoformat(timespec="seconds"), "days": round(one.days(run.began), 1)}
            for one in run.expiries
        ],
        "readiness": [_view(one) for one in readiness(results)],
        "changes": _changes(run.changes) if run.changes else None,
    }


def _entry(result: Result) -> dict[str, Any]:
    known = {key: value for key, value in asdict(catalogue()[result.check]).items() if key != "remedy"}
    return {
        **known,
        "sources": list(known["sources"]),
        "target": result.target,
        "host": result.host,
        "domain": result.domain,
        "status": result.status.value,
        "observed": result.observed,
        "evidence": list(result.evidence),
        "replies": {str(code): meaning for code, meaning in seen(result.observed)},
        "remedy": result.remedy,
        "seconds": round(result.seconds, 3),
    }


def _view(found: Readiness) -> dict[str, Any]:
    return {
        "id": found.view.id,
        "title": found.view.title,
        "source": found.view.source,
        "verdict": found.verdict,
        "requirements": [
            {
                "title": answer.requirement.title,
                "checks": list(answer.requirement.checks),
                "status": answer.status.value if answer.status else None,
                "beyond": answer.requirement.beyond,
            }
            for answer in found.answers
        ],
    }


def _changes(found: Changes) -> dict[str, Any]:
    return {
        "since": found.since,
        "remaining": found.remaining,
        "items": [
            {
                "kind": change.kind.value,
                "id": change.result.check,
                "target": change.result.target,
                "before": change.before.value if change.before else None,
                "status": change.result.status.value,
            }
            for change in found.items
        ],
    }
