# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Certificates of the lab are made once, and again when it has come to want other names."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509

from lab import config, credentials


def _names(path: Path) -> list[str]:
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(
        x509.DNSName
    )


def test_a_certificate_is_made_anew_for_other_names_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "PKI", tmp_path)
    made = tmp_path / "a.crt"
    credentials.ensure_certificate("a", ["DNS:one.test"])
    first = made.read_bytes()
    credentials.ensure_certificate("a", ["DNS:one.test"])
    assert made.read_bytes() == first
    credentials.ensure_certificate("a", ["DNS:one.test", "DNS:two.test"])
    assert _names(made) == ["one.test", "two.test"]
    # A lab of a time when names were not remembered.
    (tmp_path / "a.names").unlink()
    second = made.read_bytes()
    credentials.ensure_certificate("a", ["DNS:one.test", "DNS:two.test"])
    assert made.read_bytes() != second
