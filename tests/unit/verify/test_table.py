# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The document lists the checks of the catalogue, and every option and exit code that there is."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.postseal.mail.tests.verify.proof.outcome import Result, Results, Status
from ansible_collections.postseal.mail.tests.verify.proof.report import FILES
from ansible_collections.postseal.mail.tests.verify.proof.table import DOCUMENT, with_table

ROOT = Path(__file__).resolve().parents[3]


def test_the_table_of_checks_is_that_of_the_catalogue() -> None:
    text = DOCUMENT.read_text("utf-8")
    assert text == with_table(text), "write it anew as tests/verify/proof/table.py says"


def test_a_document_without_a_place_for_the_table_is_refused() -> None:
    with pytest.raises(ValueError, match=r"verify\.md has no"):
        with_table("# The proof\n")


def test_every_option_file_and_exit_code_is_in_the_document() -> None:
    text = DOCUMENT.read_text("utf-8")
    options = {
        word.split('"')[1] for word in (ROOT / "tests/verify/conftest.py").read_text("utf-8").split("addoption(")[1:]
    }
    assert len(options) >= 6
    assert not [option for option in options - {"--handover-fd"} if f"`{option}" not in text]
    assert not [name for name in FILES if f"`{name}`" not in text]
    warned = Results([Result("SPF-1", "a", Status.PASSED), Result("SPF-1", "b", Status.WARNED)], strict=True)
    assert warned.exit_code == 3
    assert all(f"\n| {code} | " in text for code in range(4))
