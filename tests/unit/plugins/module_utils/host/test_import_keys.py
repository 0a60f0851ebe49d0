# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Keys of other signers, as they lie on disks. Real openssl, real files."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.host import import_keys, keys
from ansible_collections.postseal.mail.plugins.module_utils.host.errors import HostError

DOMAINS = ["example.com", "example.org", "sub.example.com"]


def _openssl(*arguments: str, data: bytes = b"") -> bytes:
    return subprocess.run(["openssl", *arguments], input=data, capture_output=True, check=True).stdout


@pytest.fixture(scope="module")
def rsa() -> bytes:
    """An RSA key as opendkim-genkey and rspamadm write it: PEM, PKCS #1."""
    return _openssl("genrsa", "-traditional", "2048")


@pytest.fixture(scope="module")
def ed25519() -> bytes:
    """An Ed25519 key in PEM."""
    return _openssl("genpkey", "-algorithm", "ED25519")


def _der(pem: bytes) -> bytes:
    return _openssl("pkey", "-outform", "DER", data=pem)


def _look(path: Path, **said: str) -> dict[str, Any]:
    return import_keys.look({"path": str(path), "domains": DOMAINS, **said})


def _names(looked: dict[str, Any]) -> list[tuple[str, str, str]]:
    return sorted((key["domain"], key["selector"], key["algorithm"]) for key in looked["found"])


def test_every_form_of_a_key_is_the_same_key(tmp_path: Path, rsa: bytes, ed25519: bytes) -> None:
    seed = _der(ed25519)[-32:]
    public = keys.ed25519_public(seed)
    forms = {
        "rsa2048": [rsa, _openssl("pkey", data=rsa), base64.b64encode(_der(rsa)), base64.encodebytes(_der(rsa))],
        "ed25519": [ed25519, base64.b64encode(seed), base64.b64encode(seed + public) + b"\n"],
    }
    path = tmp_path / "x.key"
    for algorithm, contents in forms.items():
        loaded = set()
        for content in contents:
            path.write_bytes(content)
            loaded.add(import_keys.load(path))
        assert len(loaded) == 1, "one private key has one form here"
        (key,) = loaded
        assert key.algorithm == algorithm
        # What the keys step itself reads from what is kept.
        path.write_bytes(key.private)
        assert keys.Known(tmp_path / "none").public(path, algorithm) == key.public


@pytest.mark.parametrize(("bits", "algorithm"), [(1024, "rsa1024"), (2047, "rsa1024"), (3072, "rsa3072")])
def test_the_size_names_the_algorithm(tmp_path: Path, bits: int, algorithm: str) -> None:
    path = tmp_path / "x.pem"
    path.write_bytes(_openssl("genrsa", str(bits)))
    key = import_keys.load(path)
    assert (key.algorithm, key.bits) == (algorithm, bits)


def test_files_are_told_apart_by_their_names(tmp_path: Path, rsa: bytes) -> None:
    for name in (
        "example.com.dkim.key",  # rspamd: $domain.$selector.key
        "sub.example.com.2024.b.key",
        "example.org/mail.private",  # opendkim-genkey -D example.org -s mail
        "example.org/production-20260101-rsa2048.rsa2048.key",  # a backup of /etc/postseal/dkim
        "example.net.dkim.key",
        "README.txt",
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(rsa)
    looked = _look(tmp_path)
    assert _names(looked) == [
        ("example.com", "dkim", "rsa2048"),
        ("example.org", "mail", "rsa2048"),
        ("example.org", "production-20260101-rsa2048", "rsa2048"),
        ("sub.example.com", "2024.b", "rsa2048"),
    ]
    assert looked["notes"] == [
        f"{tmp_path / 'example.net.dkim.key'} was left alone: its name begins with none of the domains"
    ]


def test_what_a_name_does_not_say_can_be_said(tmp_path: Path, rsa: bytes) -> None:
    path = tmp_path / "dkim.pem"
    path.write_bytes(rsa)
    with pytest.raises(HostError, match="add -e domain=DOMAIN -e selector=SELECTOR"):
        _look(path)
    assert _names(_look(path, domain="example.com", selector="mail")) == [("example.com", "mail", "rsa2048")]
    path = path.rename(tmp_path / "example.org.key")
    assert _names(_look(path, selector="mail")) == [("example.org", "mail", "rsa2048")]


def _opendkim(folder: Path, rsa: bytes) -> None:
    (folder / "keys/example.com").mkdir(parents=True)
    (folder / "keys/example.com/mail.private").write_bytes(rsa)
    # Paths as they were on the host that the folder was copied from.
    (folder / "KeyTable").write_text("k %:mail:/etc/opendkim/keys/%/mail.private\nunused example.org:x:/nowhere\n")
    (folder / "SigningTable").write_text("*@example.com k\n")


def test_opendkims_tables_lead_to_the_keys(tmp_path: Path, rsa: bytes) -> None:
    folder = tmp_path / "opendkim"
    _opendkim(folder, rsa)
    (tmp_path / "opendkim.conf").write_text(
        "KeyTable refile:/etc/opendkim/KeyTable\nSigningTable refile:/etc/opendkim/SigningTable\n"
    )
    for path in (folder, folder / "KeyTable", tmp_path / "opendkim.conf"):
        looked = _look(path)
        assert _names(looked) == [("example.com", "mail", "rsa2048")]
        assert looked["found"][0]["path"] == str(folder / "keys/example.com/mail.private")


def test_a_configuration_of_one_key(tmp_path: Path, rsa: bytes) -> None:
    (tmp_path / "a.private").write_bytes(rsa)
    path = tmp_path / "opendkim.conf"
    path.write_text(f"Domain example.com, example.org\nSelector 2024\nKeyFile {tmp_path}/a.private\n")
    assert _names(_look(path)) == [("example.com", "2024", "rsa2048"), ("example.org", "2024", "rsa2048")]
    path.write_text("Mode sv\n")
    with pytest.raises(HostError, match="names neither a KeyTable nor domain and selector and keyfile"):
        _look(path)


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path, rsa: bytes, ed25519: bytes) -> None:
    wrong = {
        "junk": b"\0\1",
        "text": b"hello world",
        "cut": rsa[:300],
        "encrypted": _openssl("pkey", "-aes128", "-passout", "pass:x", data=rsa),
        "short": _openssl("genrsa", "768"),
        "ec": _openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"),
        "public": _openssl("pkey", "-pubout", data=rsa),
        "halves": base64.b64encode(_der(ed25519)[-32:] + b"x" * 32),
        "base64": base64.b64encode(b"nothing"),
    }
    for name, content in wrong.items():
        (tmp_path / f"example.com.{name}.key").write_bytes(content)
    with pytest.raises(HostError) as caught:
        _look(tmp_path)
    for name in wrong:
        assert f"example.com.{name}.key" in str(caught.value), str(caught.value)
    assert "PRIVATE" not in str(caught.value)


@pytest.mark.parametrize("name", ["missing", "empty"])
def test_where_nothing_is_that_is_said(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(HostError, match=r"does not exist|holds neither"):
        _look(tmp_path / name)


def test_a_file_that_changes_meanwhile_is_not_taken(tmp_path: Path, rsa: bytes) -> None:
    path = tmp_path / "example.com.dkim.key"
    path.write_bytes(rsa)
    found = _look(tmp_path)["found"]
    (handed,) = import_keys.private({"keys": found})["private"]
    assert handed == {
        "domain": "example.com",
        "selector": "dkim",
        "algorithm": "rsa2048",
        "private": base64.b64encode(import_keys.load(path).private).decode(),
    }
    path.write_bytes(_openssl("genrsa", "2048"))
    with pytest.raises(HostError, match="has just been changed"):
        import_keys.private({"keys": found})
