# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Find DKIM keys that other signers use, where they lie: on a mail host or on the controller.

A file with one key (PEM, or rspamd's base64 of an Ed25519 key), OpenDKIM's configuration or tables, or a folder whose
files are named after domain and selector. Standard library and openssl(1), Python 3.9.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, Optional

from . import keys, opendkim
from .errors import HostError

SUFFIXES = (".key", ".private", ".pem")
_TABLE = re.compile(r"[._-]")
_BITS = re.compile(rb"Private-Key: \((\d+) bit")
# What the key is called here; verifiers refuse anything shorter (RFC 8301 3.2).
_SIZES = ((4096, "rsa4096"), (3072, "rsa3072"), (2048, "rsa2048"), (1024, "rsa1024"))


class Place(NamedTuple):
    """A file that should hold the private key of a selector."""

    domain: str
    selector: str
    path: Path


class Key(NamedTuple):
    """A private key in the form in which it is kept, and what is told of it."""

    algorithm: str
    bits: int
    public: str
    private: bytes


def look(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return what is found, without private halves, and what was passed over.

    ``{"path", "domains": [names], "domain": "", "selector": ""}`` -> ``{"found": [{"domain", "selector", "algorithm",
    "bits", "public", "path"}], "notes": [...]}``. ``domains`` are those that names of files may begin with; ``domain``
    and ``selector`` say what a name does not. Raises :class:`HostError` with all that is wrong.
    """
    places, notes = _places(arguments)
    found, problems = [], []
    for place in places:
        try:
            key = load(place.path)
        except HostError as error:
            problems.append(str(error))
            continue
        told = {"algorithm": key.algorithm, "bits": key.bits, "public": key.public, "path": str(place.path)}
        found.append({"domain": place.domain, "selector": place.selector, **told})
    if problems:
        raise HostError("; ".join(problems))
    return {"found": found, "notes": notes}


def private(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the keys that :func:`look` found, ``{"keys": [...]}``, as :func:`keys.export` does.

    Raises :class:`HostError` if a file has changed since.
    """
    handed = []
    for wanted in arguments["keys"]:
        key = load(Path(wanted["path"]))
        if key.public != wanted["public"]:
            raise HostError(f"{wanted['path']} has just been changed; run again")
        content = base64.b64encode(key.private).decode()
        handed.append({**{part: wanted[part] for part in ("domain", "selector", "algorithm")}, "private": content})
    return {"private": handed}


def adopt(arguments: dict[str, Any]) -> dict[str, Any]:
    """Take over keys that lie on this host: ``{"keys": [...], "state": {...}}``; return what :func:`keys.read` does."""
    return keys.receive({**private(arguments), "state": arguments["state"]})


def load(path: Path) -> Key:
    """Return the private key in a file; raises :class:`HostError` naming the file."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise HostError(f"{path} cannot be read: {error.strerror}") from None
    if b"ENCRYPTED" in content:
        raise HostError(f"{path} is encrypted; decrypt it first: openssl pkey -in {path} -out plain.key")
    if b"-----BEGIN" in content:
        return _from_pem(path, content)
    try:
        raw = base64.b64decode(b"".join(content.split()), validate=True)
    except (binascii.Error, ValueError):
        raise HostError(f"{path} is neither PEM nor base64, so it holds no DKIM key") from None
    if len(raw) in (keys.ED25519_SEED, keys.ED25519_PAIR):
        return _ed25519(path, raw)
    body = base64.encodebytes(raw)
    for label in (b"PRIVATE KEY", b"RSA PRIVATE KEY"):
        try:
            return _from_pem(path, b"-----BEGIN %s-----\n%s-----END %s-----\n" % (label, body, label))
        except HostError:
            continue
    raise HostError(f"{path} holds base64 of something that is no private key")


def _from_pem(path: Path, content: bytes) -> Key:
    try:
        text = keys.openssl(["pkey", "-noout", "-text"], content)
        der = keys.openssl(["pkey", "-outform", "DER"], content)
    except HostError:
        raise HostError(f"{path} does not hold a private key that openssl can read") from None
    if text.startswith(b"ED25519"):
        return _ed25519(path, der[-keys.ED25519_SEED :])
    bits = _BITS.search(text)
    if not bits or b"modulus:" not in text:
        raise HostError(f"{path} holds a key that is neither RSA nor Ed25519, which DKIM does not know")
    size = int(bits[1])
    algorithm = next((name for least, name in _SIZES if size >= least), None)
    if algorithm is None:
        raise HostError(f"{path} holds an RSA key of {size} bits, which no receiver accepts (RFC 8301 3.2)")
    plain = keys.openssl(["pkey"], content)
    public = base64.b64encode(keys.openssl(["pkey", "-pubout", "-outform", "DER"], content)).decode()
    return Key(algorithm, size, public, plain)


def _ed25519(path: Path, raw: bytes) -> Key:
    seed = raw[: keys.ED25519_SEED]
    public = keys.ed25519_public(seed)
    if raw[keys.ED25519_SEED :] not in (b"", public):
        raise HostError(f"{path} holds two halves of an Ed25519 key that do not belong together")
    return Key("ed25519", 256, base64.b64encode(public).decode(), base64.b64encode(seed + public) + b"\n")


def _places(arguments: dict[str, Any]) -> tuple[list[Place], list[str]]:
    path = Path(arguments["path"]).expanduser()
    if not path.exists():
        raise HostError(f"{path} does not exist")
    try:
        tables = _tables(path)
        if tables:
            return [_resolved(entry, path) for entry in tables], []
    except (opendkim.OpenDkimError, UnicodeDecodeError) as error:
        raise HostError(f"{path}: {error}") from None
    said = arguments.get("domain") or "", arguments.get("selector") or ""
    known = [said[0]] if said[0] else sorted(arguments["domains"], key=len, reverse=True)
    if path.is_file():
        place = _named(path, known, *said)
        if place is None:
            raise HostError(
                f"the name of {path} does not say whose key it is; add -e domain=DOMAIN -e selector=SELECTOR"
            )
        return [place], []
    files = sorted(file for suffix in SUFFIXES for file in path.rglob(f"*{suffix}") if file.is_file())
    found = [(file, _named(file, known, "", said[1])) for file in files]
    places = [place for _, place in found if place is not None]
    notes = [f"{file} was left alone: its name begins with none of the domains" for file, place in found if not place]
    if not places:
        raise HostError(
            f"{path} holds neither a KeyTable nor a file called DOMAIN.SELECTOR.key, DOMAIN/SELECTOR.private or "
            f"DOMAIN/SELECTOR.ALGORITHM.key for any of {', '.join(known)}"
        )
    return places, notes


def _named(path: Path, domains: list[str], domain: str, selector: str) -> Optional[Place]:  # noqa: UP045  # Python 3.9
    """Return whose key a file is by its name, by that of its folder, and by what was said."""
    stem = path.name[: -len(path.suffix)] if path.suffix in SUFFIXES else path.name
    stem, folder = stem.lower(), path.parent.name.lower()
    ours = keys.FILE_NAME.fullmatch(path.name)
    for name in domains:
        if folder == name and ours:
            return Place(name, selector or ours["selector"], path)
        if stem.startswith(f"{name}."):
            return Place(name, selector or stem[len(name) + 1 :], path)
        if stem == name and selector:
            return Place(name, selector, path)
        if folder == name:
            return Place(name, selector or stem, path)
    return Place(domain, selector, path) if domain and selector else None


def _tables(path: Path) -> list[opendkim.Entry]:
    """Return what OpenDKIM signs with where ``path`` is its configuration, its KeyTable or a folder with one."""
    if path.is_dir():
        files = {_TABLE.sub("", file.name).lower(): file for file in sorted(path.iterdir()) if file.is_file()}
        table, signing = files.get("keytable"), files.get("signingtable")
        return list(opendkim.entries(_text(table), _text(signing) if signing else None)) if table else []
    if _TABLE.sub("", path.name).lower() == "keytable":
        return _tables(path.parent)
    if path.suffix != ".conf":
        return []
    said = opendkim.configuration(_text(path))
    if "keytable" in said:
        read = [
            _text(_near(opendkim.table_file(said[name]), path)) if name in said else None
            for name in ("keytable", "signingtable")
        ]
        return list(opendkim.entries(read[0] or "", read[1]))
    missing = [name for name in ("domain", "selector", "keyfile") if name not in said]
    if missing:
        raise opendkim.OpenDkimError(f"it names neither a KeyTable nor {' and '.join(missing)}")
    names = [name.strip().lower() for name in said["domain"].split(",")]
    return [opendkim.Entry(name, said["selector"].lower(), said["keyfile"]) for name in names]


def _text(path: Optional[Path]) -> str:  # noqa: UP045  # Python 3.9
    if path is None or not path.is_file():
        raise opendkim.OpenDkimError(f"{path} is not there")
    return path.read_text("utf-8")


def _resolved(entry: opendkim.Entry, source: Path) -> Place:
    return Place(entry.domain, entry.selector, _near(entry.path, source))


def _near(written: str, source: Path) -> Path:
    """Return the file that a table names: in a copy of the folder, if ``source`` is one, or else where it says."""
    folder = source if source.is_dir() else source.parent
    return next(_candidates(written, folder), Path(written))


def _candidates(written: str, folder: Path) -> Iterator[Path]:
    parts = Path(written).parts
    for start in range(len(parts)):
        path = folder.joinpath(*[part for part in parts[start:] if part not in ("/", ".")])
        if path.is_file():
            yield path
