# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""certbot's directory of one certificate: read it, seed it with a key, put it back. Standard library, Python 3.9."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
import shutil
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .errors import HostError

LETSENCRYPT = Path("/etc/letsencrypt")
BACKUP = Path("/var/lib/postseal/letsencrypt")
PARTS = ("privkey", "cert", "chain", "fullchain")


@dataclass(frozen=True)
class Order:
    """What the certificate shall be: lineage name, names it carries, our key, the authority and how to trust it."""

    name: str
    names: tuple[str, ...]
    key: Path
    directory: str
    contact: str | None = None
    ca: str | None = None


@dataclass(frozen=True)
class Certificate:
    """What matters of a certificate: DNS names, validity in seconds since the epoch, hex SHA-256 of its SPKI."""

    names: tuple[str, ...]
    not_before: int
    not_after: int
    spki_sha256: str
    self_signed: bool


class Lineage:
    """One certificate of certbot: ``live/NAME`` links into ``archive/NAME``, ``renewal/NAME.conf`` says how."""

    def __init__(self, name: str, root: Path = LETSENCRYPT, backup: Path = BACKUP) -> None:
        self.name = name
        self.live = root / "live" / name
        self.archive = root / "archive" / name
        self.conf = root / "renewal" / f"{name}.conf"
        self.fullchain = self.live / "fullchain.pem"
        self.backup = backup / name

    def certificate(self) -> Certificate | None:
        """Return the certificate that serves, ``None`` if there is none; raises :class:`HostError` if unreadable."""
        return read_certificate(self.fullchain) if self.fullchain.exists() else None

    def renewal(self) -> dict[str, str]:
        """Return the parameters certbot renews by, empty if it does not."""
        return parse_renewal(self.conf.read_text("utf-8")) if self.conf.exists() else {}

    def seed(self, order: Order) -> None:
        """Replace the lineage by one with our key and a self-signed placeholder of a day, keeping the old one aside."""
        self.forget_backup()
        placeholder = self_signed(order)
        for part in self._paths():
            part.parent.mkdir(mode=0o755 if part == self.conf else 0o700, parents=True, exist_ok=True)
            if part.exists():
                self._aside(part).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                os.rename(part, self._aside(part))
        self.archive.mkdir(mode=0o755)
        self.live.mkdir(mode=0o755)
        for item in PARTS:
            target = self.archive / f"{item}1.pem"
            secret = item == "privkey"
            content = order.key.read_text("ascii") if secret else placeholder
            handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if secret else 0o644)
            with os.fdopen(handle, "w") as stream:
                stream.write(content)
            os.symlink(os.path.relpath(target, self.live), self.live / f"{item}.pem")
        self.conf.write_text(self.seed_conf(order), "utf-8")

    def seed_conf(self, order: Order) -> str:
        """Return the smallest renewal configuration that certbot accepts as its own."""
        links = "".join(f"{part} = {self.live / part}.pem\n" for part in PARTS)
        return (
            f"version = 2.1.0\narchive_dir = {self.archive}\n{links}[renewalparams]\nauthenticator = webroot\n"
            f"server = {order.directory}\nkey_type = ecdsa\nreuse_key = True\n"
        )

    def restore(self) -> None:
        """Undo :meth:`seed`."""
        for part in self._paths():
            shutil.rmtree(part) if part.is_dir() else part.unlink(missing_ok=True)
            if self._aside(part).exists():
                os.rename(self._aside(part), part)
        self.forget_backup()

    def recover(self) -> None:
        """Finish what a run that was cut off between seeding and issuing left behind."""
        if not self.backup.exists():
            return
        serving = self.certificate()
        if serving is None or serving.self_signed:
            self.restore()
        self.forget_backup()

    def forget_backup(self) -> None:
        """Drop what :meth:`seed` put aside."""
        if self.backup.exists():
            shutil.rmtree(self.backup)

    def _paths(self) -> tuple[Path, Path, Path]:
        return self.live, self.archive, self.conf

    def _aside(self, part: Path) -> Path:
        return self.backup / part.parent.name


def self_signed(order: Order) -> str:
    """Return a certificate of one day, as PEM, for our key and names."""
    names = ",".join(f"DNS:{name}" for name in order.names)
    subject = ["-subj", "/O=Postseal placeholder", "-addext", f"subjectAltName={names}"]
    return openssl("req", "-x509", "-new", "-key", str(order.key), "-days", "1", *subject)


def read_key(path: Path) -> str:
    """Return the hex SHA-256 of the SPKI of the private key at ``path``; raises :class:`HostError` if there is none."""
    if not path.is_file():
        raise HostError(f"the key {path} is missing; run playbooks/keys.yml first")
    return spki_sha256(openssl("pkey", "-in", str(path), "-pubout"))


def read_certificate(path: Path) -> Certificate:
    """Return the first certificate in ``path``; raises :class:`HostError` if it is not one."""
    wanted = ["-subject", "-issuer", "-startdate", "-enddate", "-ext", "subjectAltName", "-pubkey"]
    return parse_certificate(openssl("x509", "-in", str(path), "-noout", *wanted))


def parse_certificate(text: str) -> Certificate:
    """Return what ``openssl x509 -noout -subject -issuer -startdate -enddate -ext subjectAltName -pubkey`` printed.

    Raises :class:`HostError` when a part is missing.
    """
    fields = dict(re.findall(r"^(subject|issuer|notBefore|notAfter)\s*=\s*(.*?)\s*$", text, re.MULTILINE))
    try:
        return Certificate(
            names=tuple(re.findall(r"DNS:([^,\s]+)", text)),
            not_before=ssl.cert_time_to_seconds(fields["notBefore"]),
            not_after=ssl.cert_time_to_seconds(fields["notAfter"]),
            spki_sha256=spki_sha256(text),
            self_signed=fields["subject"] == fields["issuer"],
        )
    except (KeyError, ValueError) as error:
        raise HostError("OpenSSL printed a certificate in a form that is not known here") from error


def spki_sha256(text: str) -> str:
    """Return the hex SHA-256 of the public key (SPKI, PEM) in ``text``; raises :class:`HostError` if it has none."""
    found = re.search(r"-----BEGIN PUBLIC KEY-----(.*?)-----END PUBLIC KEY-----", text, re.DOTALL)
    try:
        der = base64.b64decode("".join(found.group(1).split()) if found else "", validate=True)
    except binascii.Error:
        der = b""
    if not der:
        raise HostError("OpenSSL printed no public key")
    return hashlib.sha256(der).hexdigest()


def parse_renewal(text: str) -> dict[str, str]:
    """Return the ``name = value`` lines of certbot's section ``[renewalparams]``."""
    _, _, section = text.partition("[renewalparams]")
    lines = (line.partition("=") for line in re.split(r"^\[", section, flags=re.MULTILINE)[0].splitlines())
    return {name.strip(): value.strip() for name, equals, value in lines if equals and not name.startswith("#")}


def openssl(*arguments: str) -> str:
    """Run openssl(1) and return what it printed; raises :class:`HostError` with its first complaint."""
    try:
        answer = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise HostError("openssl is not installed on this host; run the role postseal.mail.packages first") from None
    if answer.returncode:
        complaint = (answer.stderr.strip().splitlines() or ["no reason given"])[0]
        raise HostError(f"openssl {arguments[0]} failed for {arguments[-1]}: {complaint}")
    return answer.stdout
