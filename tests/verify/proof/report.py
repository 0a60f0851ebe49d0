# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The results as text for a terminal, as JSON and as JUnit XML, all made from the same catalogue and results."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from ansible_collections.postseal.mail.plugins.module_utils.model import providers
from ansible_collections.postseal.mail.plugins.module_utils.model.types import Model

from .catalogue import CATEGORIES, catalogue
from .outcome import FINDINGS, Result, Results, Status

SCHEMA = 2
SHORTEST_SECRET = 8
MASK = "********"


@dataclass(frozen=True)
class Expiry:
    """Something that ends by itself: ``what`` is a certificate, a DKIM key or DNSSEC signatures, ``where`` names it."""

    what: str
    where: str
    at: datetime


@dataclass(frozen=True)
class Run:
    """What a report says about the run itself; ``started`` and ``finished`` are seconds of the epoch.

    ``connections`` says how many were made, by kind: smtp, ssh, dns.
    """

    environment: str
    started: float
    finished: float
    hosts: tuple[str, ...]
    domains: tuple[str, ...]
    connections: Mapping[str, int] = field(default_factory=dict)
    expiries: tuple[Expiry, ...] = ()

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.finished - self.started


def secrets(model: Model) -> tuple[str, ...]:
    """Return every secret of the model that could stray into evidence."""
    stored = (model.limits.store.password if model.limits.store else None,)
    held = ((one.secret_hash, one.previous_hash, one.secret) for one in model.credentials)
    found = [secret.reveal() for secret in (*stored, *chain.from_iterable(held)) if secret is not None]
    found += [secret.reveal() for secret in providers.secrets(model.dns.providers)]
    if model.probe:
        found.append(model.probe.secret.reveal())
    return tuple(secret for secret in found if len(secret) >= SHORTEST_SECRET)


def without(result: Result, hidden: Iterable[str]) -> Result:
    """Return ``result`` with every string in ``hidden`` masked."""
    texts = [result.observed, result.remedy, *result.evidence]
    for secret in hidden:
        texts = [text.replace(secret, MASK) for text in texts]
    return replace(result, observed=texts[0], remedy=texts[1], evidence=tuple(texts[2:]))


def lines(results: Results, run: Run) -> list[str]:
    """Return the terminal report: a line per category, one per failure with its remedy, one per gap, and the sum."""
    said = [f"Proof of {run.environment}: {', '.join(run.hosts)}; {', '.join(run.domains)}"]
    by_category: dict[str, Counter[Status]] = {category: Counter() for category in CATEGORIES}
    for result in results.items:
        by_category[catalogue()[result.check].category][result.status] += 1
    said += [f"  {category:<15} {_counts(count)}" for category, count in by_category.items() if count]
    for status in FINDINGS:
        for result in results.having(status):
            said.append(
                f"{status.value.upper()} {result.check}, {result.target}: {result.observed}. Remedy: {result.remedy}"
            )
    for status, word in ((Status.NOT_TESTED, "NOT TESTED"), (Status.NOT_APPLICABLE, "not applicable")):
        # One cause, such as a host that is down, leaves many checks open: it is said once for each target.
        gaps: dict[tuple[str, str], list[str]] = {}
        for result in results.having(status):
            gaps.setdefault((result.target, result.observed), []).append(result.check)
        said += [f"{word} {target}: {reason} ({', '.join(checks)})" for (target, reason), checks in gaps.items()]
    count = Counter(result.status for result in results.items)
    said.append(f"{len(results.items)} checks in {run.seconds:.1f} s: {_counts(count)}")
    if run.connections:
        cost = ", ".join(f"{number} {kind}" for kind, number in sorted(run.connections.items()))
        said.append(f"connections and questions: {cost}")
    return said


def _counts(count: Counter[Status]) -> str:
    return ", ".join(f"{count[status]} {status.value}" for status in Status if count[status]) or "nothing checked"


def document(results: Results, run: Run) -> dict[str, Any]:
    """Return the JSON report. ``schema`` changes when a reader has to change."""
    count = Counter(result.status for result in results.items)
    return {
        "schema": SCHEMA,
        "environment": run.environment,
        "started": datetime.fromtimestamp(run.started, UTC).isoformat(timespec="seconds"),
        "seconds": round(run.seconds, 3),
        "hosts": list(run.hosts),
        "domains": list(run.domains),
        "connections": dict(run.connections),
        "expiries": [
            {"what": one.what, "where": one.where, "at": one.at.isoformat(timespec="seconds")}
            for one in sorted(run.expiries, key=lambda one: one.at)
        ],
        "exit_code": results.exit_code,
        "summary": {status.value: count[status] for status in Status},
        "results": [_entry(result) for result in results.items],
    }


def _entry(result: Result) -> dict[str, Any]:
    known = catalogue()[result.check]
    entry = {key: value for key, value in asdict(known).items() if key != "remedy"}
    return {
        **entry,
        "target": result.target,
        "host": result.host,
        "domain": result.domain,
        "status": result.status.value,
        "observed": result.observed,
        "evidence": list(result.evidence),
        "remedy": result.remedy,
        "seconds": round(result.seconds, 3),
    }


def junit(results: Results, run: Run) -> ET.ElementTree[ET.Element]:
    """Return JUnit XML: a suite per category; what could not be tested is an error, what does not apply is skipped."""
    root = ET.Element("testsuites", name=f"postseal {run.environment}", time=f"{run.seconds:.3f}")
    for category in CATEGORIES:
        found = [result for result in results.items if catalogue()[result.check].category == category]
        count = Counter(result.status for result in found)
        suite = ET.SubElement(
            root,
            "testsuite",
            name=category,
            tests=str(len(found)),
            failures=str(count[Status.FAILED]),
            errors=str(count[Status.NOT_TESTED]),
            skipped=str(count[Status.NOT_APPLICABLE]),
        )
        for result in found:
            known = catalogue()[result.check]
            case = ET.SubElement(
                suite, "testcase", classname=f"postseal.{category}.{known.id}", name=f"{known.title} [{result.target}]",
                time=f"{result.seconds:.3f}",
            )  # fmt: skip
            properties = ET.SubElement(case, "properties")
            for name, value in (("id", known.id), ("level", known.level), ("sources", "; ".join(known.sources))):
                ET.SubElement(properties, "property", name=name, value=value)
            # JUnit knows no warnings: what is no failure passes there, and says in system-out what was seen.
            element = {
                Status.FAILED: "failure",
                Status.NOT_TESTED: "error",
                Status.NOT_APPLICABLE: "skipped",
            }
            if result.status in element:
                said = ET.SubElement(case, element[result.status], message=_printable(result.observed))
                said.text = _printable(f"{known.why} Remedy: {result.remedy}") if result.remedy else None
            elif result.status in FINDINGS:
                seen = f"{result.status.value}: {result.observed}. {known.why} Remedy: {result.remedy}"
                ET.SubElement(case, "system-out").text = _printable(seen)
    return ET.ElementTree(root)


def _printable(text: str) -> str:
    """Return ``text`` without the control characters that XML 1.0 cannot hold."""
    return "".join(character if character.isprintable() else "?" for character in text)


def write(results: Results, run: Run, directory: Path) -> tuple[Path, Path]:
    """Write verify.json and verify.xml into ``directory``, each whole or not at all; return their paths."""
    directory.mkdir(parents=True, exist_ok=True)
    paths = directory / "verify.json", directory / "verify.xml"
    partial = tuple(path.with_name(f".{path.name}.new") for path in paths)
    partial[0].write_text(json.dumps(document(results, run), indent=2) + "\n", "utf-8")
    junit(results, run).write(partial[1], encoding="utf-8", xml_declaration=True)
    for new, path in zip(partial, paths, strict=True):
        new.replace(path)
    return paths
