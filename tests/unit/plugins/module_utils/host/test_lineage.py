# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""certbot's directories, made and put back with real files and the real openssl."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.host.errors import HostError
from ansible_collections.postseal.mail.plugins.module_utils.host.lineage import (
    Lineage,
    Order,
    parse_certificate,
    parse_renewal,
    read_key,
    spki_sha256,
)
from hypothesis import given
from hypothesis import strategies as st

NAME = "mail.example.com"


def _key(path: Path) -> Path:
    command = ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", str(path)]
    subprocess.run(command, check=True, capture_output=True)
    return path


def _order(key: Path) -> Order:
    return Order(NAME, (NAME, "smtp.example.com"), key, "https://acme.example/dir")


def _tree(path: Path) -> dict[str, bytes | str]:
    """Return every file and link below ``path`` with its content or target."""
    return {
        str(found.relative_to(path)): str(found.readlink()) if found.is_symlink() else found.read_bytes()
        for found in sorted(path.rglob("*"))
        if found.is_symlink() or found.is_file()
    }


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return _key(tmp_path / "key")


@pytest.fixture
def lineage(tmp_path: Path) -> Lineage:
    return Lineage(NAME, root=tmp_path / "letsencrypt", backup=tmp_path / "backup")


def test_a_seeded_lineage_holds_our_key_and_a_placeholder_for_it(lineage: Lineage, key: Path) -> None:
    lineage.seed(_order(key))
    found = lineage.certificate()
    assert found
    assert found.self_signed
    assert found.names == (NAME, "smtp.example.com")
    assert found.spki_sha256 == read_key(key)
    assert (lineage.live / "privkey.pem").read_bytes() == key.read_bytes()
    assert (lineage.archive / "privkey1.pem").stat().st_mode & 0o777 == 0o600
    assert found.not_after - found.not_before == 86400


def test_a_seeded_lineage_is_renewed_with_the_same_key(lineage: Lineage, key: Path) -> None:
    lineage.seed(_order(key))
    assert lineage.renewal()["reuse_key"] == "True"
    assert lineage.renewal()["server"] == "https://acme.example/dir"


def test_a_long_host_name_fits(tmp_path: Path, key: Path) -> None:
    name = ".".join(["a" * 60, "b" * 60, "example.com"])
    lineage = Lineage(name, root=tmp_path / "le", backup=tmp_path / "backup")
    lineage.seed(Order(name, (name,), key, "https://acme.example/dir"))
    found = lineage.certificate()
    assert found
    assert found.names == (name,)


def test_restoring_the_first_seed_leaves_nothing(lineage: Lineage, key: Path, tmp_path: Path) -> None:
    lineage.seed(_order(key))
    lineage.restore()
    assert _tree(tmp_path / "letsencrypt") == {}
    assert lineage.certificate() is None
    assert lineage.renewal() == {}


def test_restoring_a_later_seed_brings_back_what_served(lineage: Lineage, key: Path, tmp_path: Path) -> None:
    lineage.seed(_order(key))
    lineage.forget_backup()
    before = _tree(tmp_path / "letsencrypt")
    lineage.seed(_order(_key(tmp_path / "other")))
    assert _tree(tmp_path / "letsencrypt") != before
    lineage.restore()
    assert _tree(tmp_path / "letsencrypt") == before
    assert not (tmp_path / "backup" / NAME).exists()


def test_a_run_cut_off_after_seeding_is_undone_by_the_next(lineage: Lineage, key: Path, tmp_path: Path) -> None:
    lineage.seed(_order(key))
    lineage.forget_backup()
    before = _tree(tmp_path / "letsencrypt")
    lineage.seed(_order(_key(tmp_path / "other")))
    Lineage(NAME, root=tmp_path / "letsencrypt", backup=tmp_path / "backup").recover()
    assert _tree(tmp_path / "letsencrypt") == before


def test_recovery_without_a_cut_off_run_touches_nothing(lineage: Lineage, key: Path, tmp_path: Path) -> None:
    lineage.seed(_order(key))
    lineage.forget_backup()
    before = _tree(tmp_path)
    lineage.recover()
    assert _tree(tmp_path) == before


def test_a_missing_key_names_the_step_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"playbooks/keys\.yml"):
        read_key(tmp_path / "none")


def test_a_file_that_is_no_key_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("nonsense")
    with pytest.raises(HostError, match="openssl pkey failed"):
        read_key(tmp_path / "key")


def test_the_digest_is_that_of_the_subject_public_key_info(key: Path) -> None:
    der = subprocess.run(
        ["openssl", "pkey", "-in", str(key), "-pubout", "-outform", "der"], check=True, capture_output=True
    )
    assert read_key(key) == hashlib.sha256(der.stdout).hexdigest()


@pytest.mark.parametrize("text", ["", "subject=CN = a\n", "-----BEGIN PUBLIC KEY-----\n!!\n-----END PUBLIC KEY-----"])
def test_output_in_an_unknown_form_is_an_error(text: str) -> None:
    with pytest.raises(HostError):
        parse_certificate(text)
    with pytest.raises(HostError):
        spki_sha256(text)


WORD = st.from_regex(r"[a-z_]{1,12}", fullmatch=True)
VALUE = st.text(st.characters(codec="ascii", exclude_categories=["C"], exclude_characters="[]"), max_size=30)


@given(st.dictionaries(WORD, VALUE.map(str.strip), max_size=6), st.dictionaries(WORD, VALUE.map(str.strip), max_size=3))
def test_only_the_renewal_parameters_are_read(parameters: dict[str, str], mapped: dict[str, str]) -> None:
    def lines(table: dict[str, str]) -> str:
        return "".join(f"{name} = {value}\n" for name, value in table.items())

    text = f"version = 1\n[renewalparams]\n{lines(parameters)}[[webroot_map]]\n{lines(mapped)}"
    assert parse_renewal(text) == parameters


def test_a_configuration_without_parameters_has_none() -> None:
    assert parse_renewal("version = 1\narchive_dir = /x\n") == {}
