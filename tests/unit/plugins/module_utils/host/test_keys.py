# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Real openssl, real files; only the root directory and the signer's group are those of the test."""

from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.host import keys
from ansible_collections.postseal.mail.plugins.module_utils.host.errors import HostError
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

RSA = {"domain": "example.com", "selector": "lab-20260101-rsa2048", "algorithm": "rsa2048"}
ED = {"domain": "example.com", "selector": "lab-20260101-ed25519", "algorithm": "ed25519"}
GROUP = 12345


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(keys, "ROOT", tmp_path / "postseal")
    monkeypatch.setattr(keys, "KNOWN", tmp_path / "nowhere/keys.json")
    monkeypatch.setattr(keys, "_signer", lambda: GROUP)
    return tmp_path / "postseal"


def _made() -> dict[str, Any]:
    return keys.create({"dkim": [RSA, ED], "tls": ["mail.example.com"]})


def test_public_halves_belong_to_the_private_files(root: Path) -> None:
    made = _made()
    public = {key["algorithm"]: base64.b64decode(key["public"]) for key in made["dkim"]}
    folder = root / "dkim" / "example.com"
    private = serialization.load_pem_private_key((folder / "lab-20260101-rsa2048.rsa2048.key").read_bytes(), None)
    assert isinstance(private, rsa.RSAPrivateKey)
    assert private.key_size == 2048
    assert public["rsa2048"] == _spki(private.public_key())
    seed = base64.b64decode((folder / "lab-20260101-ed25519.ed25519.key").read_text())[:32]
    raw = ed25519.Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    assert public["ed25519"] == raw
    tls = serialization.load_pem_private_key((root / "tls" / "mail.example.com.key").read_bytes(), None)
    assert isinstance(tls, ec.EllipticCurvePrivateKey)
    assert tls.curve.name == "secp256r1"
    assert made["tls"] == [
        {"name": "mail.example.com", "spki_sha256": hashlib.sha256(_spki(tls.public_key())).hexdigest()}
    ]


def _spki(public: Any) -> bytes:
    der: bytes = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return der


def test_owners_and_modes_are_right_and_are_repaired(root: Path) -> None:
    _made()
    signing, tls = root / "dkim/example.com/lab-20260101-rsa2048.rsa2048.key", root / "tls/mail.example.com.key"
    assert (signing.stat().st_mode & 0o7777, signing.stat().st_gid) == (0o640, GROUP)
    assert signing.parent.stat().st_mode & 0o7777 == 0o750
    assert (tls.stat().st_mode & 0o7777, tls.stat().st_gid) == (0o600, 0)
    assert tls.parent.stat().st_mode & 0o7777 == 0o700
    signing.chmod(0o644)
    os.chown(tls, 0, GROUP)
    assert keys.read({})["misplaced"] == [str(signing), str(tls)]
    assert keys.create({})["misplaced"] == []


def test_an_existing_key_is_never_overwritten(root: Path) -> None:
    first = _made()
    files = {path: path.read_bytes() for path in root.rglob("*.key")}
    assert _made() == first
    offered = [{**RSA, "private": base64.b64encode(b"another").decode()}]
    assert keys.receive({"private": offered}) == first
    assert {path: path.read_bytes() for path in root.rglob("*.key")} == files
    assert not list(root.rglob(".new-*"))


def test_a_second_host_gets_the_same_keys(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = _made()
    private = keys.export({"dkim": [RSA, ED]})
    monkeypatch.setattr(keys, "ROOT", tmp_path / "second")
    assert keys.receive(private)["dkim"] == first["dkim"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("lab-20260101-rsa2048.rsa2048.key", b"junk"),
        ("lab-20260101-ed25519.ed25519.key", b"junk"),
        ("lab-20260101-ed25519.ed25519.key", base64.b64encode(bytes(64))),
        ("unnamed.key", b""),
    ],
)
def test_a_broken_key_file_is_named(root: Path, name: str, content: bytes) -> None:
    _made()
    path = root / "dkim/example.com" / name
    path.write_bytes(content)
    with pytest.raises(HostError, match=name):
        keys.read({})


@pytest.mark.parametrize("domain", ["../etc", "a/b", "", "a..b"])
def test_a_domain_cannot_leave_the_directory(domain: str) -> None:
    with pytest.raises(HostError, match="cannot be a file name"):
        keys.create({"dkim": [{**RSA, "domain": domain}]})


def test_public_halves_are_worked_out_once(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "state").mkdir()
    monkeypatch.setattr(keys, "KNOWN", tmp_path / "state/keys.json")
    made = _made()
    assert (tmp_path / "state/keys.json").stat().st_mode & 0o777 == 0o600
    monkeypatch.setattr(keys, "openssl", None)  # it would be a TypeError to need it
    assert keys.read({}) == made
    folder = root / "dkim" / "example.com"
    (folder / "lab-20260101-rsa2048.rsa2048.key").write_bytes(b"damaged")
    with pytest.raises(TypeError):
        keys.read({})


def test_a_note_of_public_halves_that_is_damaged_is_nobodys_loss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "state").mkdir()
    monkeypatch.setattr(keys, "KNOWN", tmp_path / "state/keys.json")
    made = _made()
    (tmp_path / "state/keys.json").write_text("[1")
    assert keys.read({}) == made
