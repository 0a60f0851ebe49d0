# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The report as JUnit XML, which every continuous-integration server shows."""

from __future__ import annotations

from collections import Counter
from xml.etree import ElementTree as ET

from .catalogue import CATEGORIES, catalogue
from .outcome import Results, Status
from .run import Run
from .text import one_line

# A server knows only good, bad and skipped: a warning is no failure unless the run was strict.
ELEMENTS = {Status.FAILED: "failure", Status.NOT_TESTED: "error", Status.NOT_APPLICABLE: "skipped"}


def junit(results: Results, run: Run) -> ET.ElementTree[ET.Element]:
    """Return JUnit XML: a suite per category; what could not be tested is an error, what does not apply is skipped."""
    elements = {**ELEMENTS, Status.WARNED: "failure"} if results.strict else ELEMENTS
    root = ET.Element("testsuites", name=f"postseal {run.environment}", time=f"{run.seconds:.3f}")
    for category in CATEGORIES:
        found = [result for result in results.items if catalogue()[result.check].category == category]
        count = Counter(elements.get(result.status, "") for result in found)
        suite = ET.SubElement(
            root,
            "testsuite",
            name=category,
            tests=str(len(found)),
            failures=str(count["failure"]),
            errors=str(count["error"]),
            skipped=str(count["skipped"]),
            timestamp=run.began.isoformat(timespec="seconds"),
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
            said = one_line(f"{known.why} Remedy: {result.remedy}") if result.remedy else None
            if result.status in elements:
                element = ET.SubElement(case, elements[result.status], message=one_line(result.observed))
                element.text = said
            elif result.observed:
                ET.SubElement(case, "system-out").text = one_line(f"{result.status.value}: {result.observed}. {said}")
    return ET.ElementTree(root)
