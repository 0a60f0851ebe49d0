# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The table fault x check, written by the run of test_verify_faults.py and kept as docs/verify-faults.md."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ansible_collections.postseal.mail.tests.verify.proof.catalogue import catalogue

from .site import ROOT

FILE = ROOT / "docs/verify-faults.md"
HEAD = """# Faults that the proof finds

`tests/lab/test_verify_faults.py` writes this table. It breaks one thing after the other in the lab, runs the whole
proof, and fails if a fault goes unseen or if anything else is found. A check that nobody has seen fail is not a check.

"""


def render(seen: Mapping[str, Iterable[str]], elsewhere: Mapping[str, str]) -> str:
    """Return the document.

    :param seen: by fault the checks that found it, which are all that found anything
    :param elsewhere: by check where it is seen to fail, if not by such a fault
    """
    lines = ["| fault | found by |", "|---|---|"]
    lines += [f"| {fault} | {', '.join(checks)} |" for fault, checks in sorted(seen.items())]
    lines += ["", "## By check", "", "| check | what it says of a good system | fault |", "|---|---|---|"]
    for identifier, entry in catalogue().items():
        faults = sorted(fault for fault, checks in seen.items() if identifier in checks)
        faults += [elsewhere[identifier]] if identifier in elsewhere else []
        lines.append(f"| {identifier} | {entry.title} | {'; '.join(faults)} |")
    return HEAD + "\n".join(lines) + "\n"


def faults_in(document: str) -> dict[str, tuple[str, ...]]:
    """Return by fault the checks that a document says found it."""
    table = document.partition("|---|---|\n")[2].partition("\n\n")[0]
    rows = (line.strip("| ").split(" | ") for line in table.splitlines())
    return {fault: tuple(checks.split(", ")) for fault, checks in rows}
