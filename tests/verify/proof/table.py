# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The table of checks in docs/verify.md, from the catalogue. A test keeps the two equal.

Write it anew: PYTHONPATH=collections python -m ansible_collections.postseal.mail.tests.verify.proof.table
"""

from __future__ import annotations

from pathlib import Path

from .catalogue import CATEGORIES, catalogue

DOCUMENT = Path(__file__).resolve().parents[3] / "docs/verify.md"
BEGIN, END = "<!-- checks: from tests/verify/catalogue.yml -->", "<!-- end of checks -->"


def table() -> str:
    """Return the table in Markdown: a row for each check, in the order of the catalogue."""
    rows = ["| check | looks at | from | a failure is | asked for by |", "|---|---|---|---|---|"]
    for category in CATEGORIES:
        rows += [
            f"| {check.id} | {check.title} | {check.vantage} | {check.level} | {'; '.join(check.sources)} |"
            for check in catalogue().values()
            if check.category == category
        ]
    return "\n".join(rows)


def with_table(text: str) -> str:
    """Return the document with the table between its marks; raises :class:`ValueError` if they are not there."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{DOCUMENT.name} has no {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    DOCUMENT.write_text(with_table(DOCUMENT.read_text("utf-8")), "utf-8")
