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
from ansible_collections.postseal.mail.plugins.module_utils.mailauth import dkim
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

RSA = {"domain": "example.com", "selector": "lab-20260101-rsa2048", "algorithm": "rsa2048"}
ED = {"domain": "example.com", "selector": "lab-20260101-ed25519", "algorithm": "ed25519"}
GROUP = 12345
# The example keys of RFC 6376 appendix C, and of RFC 8463 appendix A.1 and A.2: private half, then p= of the record.
RFC_6376 = """-----BEGIN RSA PRIVATE KEY-----
MIICXwIBAAKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYtIxN2SnFC
jxOCKG9v3b4jYfcTNh5ijSsq631uBItLa7od+v/RtdC2UzJ1lWT947qR+Rcac2gb
to/NMqJ0fzfVjH4OuKhitdY9tf6mcwGjaNBcWToIMmPSPDdQPNUYckcQ2QIDAQAB
AoGBALmn+XwWk7akvkUlqb+dOxyLB9i5VBVfje89Teolwc9YJT36BGN/l4e0l6QX
/1//6DWUTB3KI6wFcm7TWJcxbS0tcKZX7FsJvUz1SbQnkS54DJck1EZO/BLa5ckJ
gAYIaqlA9C0ZwM6i58lLlPadX/rtHb7pWzeNcZHjKrjM461ZAkEA+itss2nRlmyO
n1/5yDyCluST4dQfO8kAB3toSEVc7DeFeDhnC1mZdjASZNvdHS4gbLIA1hUGEF9m
3hKsGUMMPwJBAPW5v/U+AWTADFCS22t72NUurgzeAbzb1HWMqO4y4+9Hpjk5wvL/
eVYizyuce3/fGke7aRYw/ADKygMJdW8H/OcCQQDz5OQb4j2QDpPZc0Nc4QlbvMsj
7p7otWRO5xRa6SzXqqV3+F0VpqvDmshEBkoCydaYwc2o6WQ5EBmExeV8124XAkEA
qZzGsIxVP+sEVRWZmW6KNFSdVUpk3qzK0Tz/WjQMe5z0UunY9Ax9/4PVhp/j61bf
eAYXunajbBSOLlx4D+TunwJBANkPI5S9iylsbLs6NkaMHV6k5ioHBBmgCak95JGX
GMot/L2x0IYyMLAz6oLWh2hm7zwtb0CgOrPo1ke44hFYnfc=
-----END RSA PRIVATE KEY-----
"""
RFC_6376_PUBLIC = (
    "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYtIxN2SnFC"
    "jxOCKG9v3b4jYfcTNh5ijSsq631uBItLa7od+v/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhitdY9"
    "tf6mcwGjaNBcWToIMmPSPDdQPNUYckcQ2QIDAQAB"
)
RFC_8463 = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A="
RFC_8463_PUBLIC = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(keys, "ROOT", tmp_path / "postseal")
    monkeypatch.setattr(keys, "KNOWN", tmp_path / "nowhere/keys.json")
    monkeypatch.setattr(keys, "_signer", lambda: GROUP)
    return tmp_path / "postseal"


def _made() -> dict[str, Any]:
    return keys.create({"dkim": [RSA, ED], "tls": ["mail.example.com"]})


@pytest.mark.parametrize(
    ("algorithm", "private", "public"),
    [("rsa2048", RFC_6376, RFC_6376_PUBLIC), ("ed25519", f"{RFC_8463}\n", RFC_8463_PUBLIC)],
)
def test_the_keys_of_the_standards_have_the_records_of_the_standards(
    algorithm: str, private: str, public: str, root: Path
) -> None:
    path = root / "dkim" / "football.example.com" / f"brisbane.{algorithm}.key"
    path.parent.mkdir(parents=True)
    path.write_text(private)
    (read,) = keys.read({})["dkim"]
    assert read["public"] == public
    name = "rsa" if algorithm == "rsa2048" else algorithm
    assert f"; k={name}; ".encode() in dkim.build(algorithm, public)
    assert dkim.parse(dkim.build(algorithm, public)).public == public


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
