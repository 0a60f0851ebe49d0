# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The files of a report, all made from the same catalogue and results: JSON, JUnit XML, a page, and what is new."""

from __future__ import annotations

import json
from pathlib import Path

from .changes import LATEST
from .document import document
from .junit import junit
from .outcome import Results
from .page import page
from .run import Run
from .text import news

FILES = (LATEST, "verify.xml", "verify.html", "changes.txt")


def write(results: Results, run: Run, directory: Path) -> tuple[Path, ...]:
    """Write :data:`FILES` into ``directory``, each whole or not at all; return their paths."""
    directory.mkdir(parents=True, exist_ok=True)
    paths = tuple(directory / name for name in FILES)
    partial = tuple(path.with_name(f".{path.name}.new") for path in paths)
    partial[0].write_text(json.dumps(document(results, run), indent=2) + "\n", "utf-8")
    junit(results, run).write(partial[1], encoding="utf-8", xml_declaration=True)
    partial[2].write_text(page(results, run), "utf-8")
    partial[3].write_text("".join(f"{line}\n" for line in news(run.changes, results, run)), "utf-8")
    for new, path in zip(partial, paths, strict=True):
        new.replace(path)
    return paths


def clear(directory: Path) -> None:
    """Remove what an earlier run left, so that nobody takes it for this one's."""
    for name in FILES:
        (directory / name).unlink(missing_ok=True)
