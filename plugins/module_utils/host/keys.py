# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Private keys on the host where they are used: make, read, hand over. Standard library and openssl(1), Python 3.9."""

from __future__ import annotations

import base64
import binascii
import grp
import hashlib
import json
import os
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from . import dkim_state
from .durable import write_durably
from .errors import HostError

ROOT = Path("/etc/postseal")
KNOWN = Path("/var/lib/postseal/keys.json")
SIGNER_GROUP = "_rspamd"
DIRECTORY_MODE, DKIM_DIRECTORY_MODE, DKIM_MODE, TLS_MODE = 0o755, 0o750, 0o640, 0o600
RSA_BITS = {"rsa2048": "2048", "rsa3072": "3072", "rsa4096": "4096"}
ED25519_SEED, ED25519_PAIR = 32, 64
# PKCS#8 prefix of an Ed25519 private key: RFC 8410 7, followed by the 32 bytes of the seed.
ED25519_PKCS8 = bytes.fromhex("302e020100300506032b657004220420")
# Selectors of ours are one label; those that others chose may be several. Nothing of less than 2048 bits is made here.
FILE_NAME = re.compile(r"(?P<selector>[a-z0-9]([a-z0-9._-]*[a-z0-9])?)\.(?P<algorithm>rsa[1234]\d{3}|ed25519)\.key")
NAME = re.compile(r"[a-z0-9_]([a-z0-9._-]*[a-z0-9])?")


def read(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the public halves of all keys here: ``{"dkim": [...], "tls": [...], "misplaced": [paths], "state"}``.

    ``misplaced`` are files whose owner, group or mode is not what it should be, ``state`` is what
    :func:`dkim_state.read` returns. Nothing is changed. Raises :class:`HostError` naming the file if a key cannot be
    read.
    """
    state = dkim_state.read()
    known = Known(KNOWN)
    dkim = [
        {**_parts(path), "public": known.public(path, _parts(path)["algorithm"])}
        for path in sorted((ROOT / "dkim").glob("*/*.key"))
    ]
    tls = [
        {"name": path.name[: -len(".key")], "spki_sha256": known.public(path, "spki_sha256")}
        for path in sorted((ROOT / "tls").glob("*.key"))
    ]
    known.keep()
    wrong = [str(path) for path in sorted((ROOT / "dkim").glob("*/*.key")) if not _is(path, _signer(), DKIM_MODE)]
    wrong += [str(path) for path in sorted((ROOT / "tls").glob("*.key")) if not _is(path, 0, TLS_MODE)]
    return {"dkim": dkim, "tls": tls, "misplaced": wrong, "state": state}


def create(arguments: dict[str, Any]) -> dict[str, Any]:
    """Make the keys that are not there yet, repair owners and modes, and return what :func:`read` returns.

    ``{"dkim": [{"domain", "selector", "algorithm"}], "tls": [names], "removed": [like dkim], "state": {...}}``. A key
    that exists is never overwritten. The ``state`` is written first: a key that is not in it when a run is cut off
    could be taken for one that signs.
    """
    _keep_state(arguments)
    _make_dkim([key for key in arguments.get("dkim", []) if not _dkim_path(key).exists()])
    for name in arguments.get("tls", []):
        path = ROOT / "tls" / f"{_safe(name)}.key"
        if not path.exists():
            # ECDSA P-256: the leaf key every client of RFC 8446 9.1 must accept, and small in a handshake.
            pem = openssl(["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"])
            _write_once(path, pem, 0, TLS_MODE, 0o700)
    for key in arguments.get("removed", []):
        _dkim_path(key).unlink(missing_ok=True)
    for wrong in read({})["misplaced"]:
        path = Path(wrong)
        signer = path.parent.parent.name == "dkim"
        os.chown(path, 0, _signer() if signer else 0)
        path.chmod(DKIM_MODE if signer else TLS_MODE)
    return read({})


def export(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return ``{"private": [{"domain", "selector", "algorithm", "private": base64}]}`` for the keys in ``dkim``."""
    private = []
    for key in arguments["dkim"]:
        content = base64.b64encode(_dkim_path(key).read_bytes()).decode()
        private.append({**{part: key[part] for part in ("domain", "selector", "algorithm")}, "private": content})
    return {"private": private}


def receive(arguments: dict[str, Any]) -> dict[str, Any]:
    """Install the keys that :func:`export` returned on another host, and return what :func:`read` returns.

    ``{"private": [...], "state": {...}}``; the ``state`` is written first, as :func:`create` has it.
    """
    _keep_state(arguments)
    for key in arguments["private"]:
        path = _dkim_path(key)
        if not path.exists():
            content = base64.b64decode(key["private"])
            _write_once(path, content, _signer(), DKIM_MODE, DKIM_DIRECTORY_MODE)
    return read({})


def record(arguments: dict[str, Any]) -> dict[str, Any]:
    """Write the ``state`` of the DKIM keys, and return what :func:`read` returns."""
    _keep_state(arguments)
    return read({})


def _keep_state(arguments: dict[str, Any]) -> None:
    """Write the state, after making sure that one that is there can be read."""
    if arguments.get("state"):
        dkim_state.read()
        dkim_state.write(arguments["state"])


class Known:
    """Public halves by the digest of the private key's file, kept at ``path``: a hundred keys are two hundred calls of
    openssl(1) otherwise. A note for root; it is left only where Postseal has its directory already.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.halves: dict[str, str] = {}
        try:
            kept = json.loads(path.read_bytes())
        except (OSError, ValueError):
            kept = None
        self.kept: dict[str, str] = kept if isinstance(kept, dict) else {}

    def public(self, path: Path, form: str) -> str:
        """Return the public half of the key at ``path``: ``form`` is a DKIM algorithm or ``spki_sha256`` (hex)."""
        content = path.read_bytes()
        digest = hashlib.sha256(form.encode() + b"\0" + content).hexdigest()
        half = self.kept.get(digest)
        if half is None and form == "spki_sha256":
            half = hashlib.sha256(_spki(content, path)).hexdigest()
        elif half is None:
            half = _dkim_public(content, path, form)
        self.halves[digest] = half
        return half

    def keep(self) -> None:
        """Remember what was asked for, and nothing older."""
        if self.halves != self.kept and self.path.parent.is_dir():
            write_durably(str(self.path), json.dumps(self.halves).encode())


def _parts(path: Path) -> dict[str, str]:
    match = FILE_NAME.fullmatch(path.name)
    if not match:
        raise HostError(f"{path} is not named <selector>.<algorithm>.key; rename it or move it away")
    return {"domain": path.parent.name, "selector": match["selector"], "algorithm": match["algorithm"]}


def _dkim_path(key: dict[str, str]) -> Path:
    path = ROOT / "dkim" / _safe(key["domain"]) / f"{key['selector']}.{key['algorithm']}.key"
    _parts(path)
    return path


def _safe(name: str) -> str:
    if not NAME.fullmatch(name) or ".." in name:
        raise HostError(f"{name!r} cannot be a file name")
    return name


def _signer() -> int:
    try:
        return grp.getgrnam(SIGNER_GROUP).gr_gid
    except KeyError:
        raise HostError(
            f"group {SIGNER_GROUP} is missing on this host: the package rspamd is not installed; run playbooks/keys.yml"
        ) from None


def _is(path: Path, group: int, mode: int) -> bool:
    status = path.stat()
    return (status.st_uid, status.st_gid, status.st_mode & 0o7777) == (0, group, mode)


def openssl(arguments: list[str], data: bytes = b"") -> bytes:
    """Return what openssl(1) writes when it reads ``data``; raises :class:`HostError` with the end of its complaint."""
    answer = subprocess.run(["openssl", *arguments], input=data, capture_output=True, check=False)
    if answer.returncode != 0:
        raise HostError(f"openssl {arguments[0]} failed: {answer.stderr.decode(errors='replace').strip()[-200:]}")
    return answer.stdout


def _make_dkim(keys: list[dict[str, str]]) -> None:
    """Make those keys and write each as soon as those before it are there.

    Finding the primes of an RSA key takes a core about a third of a second, so all cores look for some.
    """
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415  # a run that makes no key does without

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        made = pool.map(_new_dkim, [key["algorithm"] for key in keys])
        for key, content in zip(keys, made):
            _write_once(_dkim_path(key), content, _signer(), DKIM_MODE, DKIM_DIRECTORY_MODE)


def _new_dkim(algorithm: str) -> bytes:
    if algorithm in RSA_BITS:
        return openssl(["genpkey", "-algorithm", "RSA", "-pkeyopt", f"rsa_keygen_bits:{RSA_BITS[algorithm]}"])
    if algorithm != "ed25519":
        raise HostError(f"{algorithm!r} is not a DKIM key algorithm")
    # rspamd reads Ed25519 keys only as base64 of seed and public key, never as PEM.
    pkcs8 = openssl(["genpkey", "-algorithm", "ED25519", "-outform", "DER"])
    seed = pkcs8[-ED25519_SEED:]
    return base64.b64encode(seed + ed25519_public(seed)) + b"\n"


def ed25519_public(seed: bytes) -> bytes:
    """Return the 32 bytes that belong to the 32 of a private key (RFC 8032 5.1.5)."""
    return openssl(["pkey", "-inform", "DER", "-pubout", "-outform", "DER"], ED25519_PKCS8 + seed)[-ED25519_SEED:]


def _spki(pem: bytes, path: Path) -> bytes:
    try:
        return openssl(["pkey", "-pubout", "-outform", "DER"], pem)
    except HostError as error:
        raise HostError(f"{path} does not hold a private key; restore it from your backup ({error})") from None


def _dkim_public(content: bytes, path: Path, algorithm: str) -> str:
    if algorithm.startswith("rsa"):
        return base64.b64encode(_spki(content, path)).decode()
    try:
        raw = base64.b64decode(content.strip(), validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) not in (ED25519_SEED, ED25519_PAIR):
        raise HostError(f"{path} does not hold an Ed25519 key in rspamd's form; restore it from your backup")
    public = ed25519_public(raw[:ED25519_SEED])
    if raw[ED25519_SEED:] not in (b"", public):
        raise HostError(f"{path} holds two halves that do not belong together; restore it from your backup")
    return base64.b64encode(public).decode()


def _write_once(path: Path, content: bytes, group: int, mode: int, directory_mode: int) -> None:
    """Write a new file that appears whole or not at all, and never in place of another."""
    ROOT.mkdir(mode=DIRECTORY_MODE, exist_ok=True)
    for directory in reversed([parent for parent in path.parents if ROOT in parent.parents]):
        if not directory.exists():
            directory.mkdir(mode=directory_mode)
            directory.chmod(directory_mode)
            os.chown(directory, 0, group)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(handle, "wb") as stream:
            os.fchmod(stream.fileno(), mode)
            os.fchown(stream.fileno(), 0, group)
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.link(temporary, path)
    except FileExistsError:
        pass  # somebody else made it meanwhile: theirs stays
    finally:
        os.unlink(temporary)
