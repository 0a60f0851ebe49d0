# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Where a secret must not be: what is printed, process lists, journals, files that others may read, compiled maps."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from .site import HOSTS, LAB_STATE, ROOT, ssh

# Runs on a mail host, with the needles in its own text: its arguments would be in the journal, where sudo writes them.
# It answers with [name of the secret, place]. Programs as Debian ships them are left out, all else is read.
_SEARCH = """
import json, os, stat, subprocess, sys
NEEDLES = {name: [form.encode() for form in forms] for name, forms in json.loads(%r).items()}
SKIP = {"/proc", "/sys", "/dev", "/usr", "/boot", "/var/lib/apt", "/var/lib/dpkg", "/var/cache/apt", "/var/log/journal",
        "/run/log/journal"}
# Read whatever their mode: what Ansible leaves behind, and maps.
ANYHOW = ("/root/.ansible", "/home/admin/.ansible", "/tmp/", "/var/tmp/")
found = []
def look(place, content):
    found.extend([name, place] for name, forms in NEEDLES.items() if any(form in content for form in forms))
def walk(top, public):
    try:
        entries = list(os.scandir(top))
    except OSError:
        return
    for entry in entries:
        if entry.path in SKIP or entry.is_symlink():
            continue
        about = entry.stat(follow_symlinks=False)
        if stat.S_ISDIR(about.st_mode):
            walk(entry.path, public and bool(about.st_mode & 0o001))
        elif stat.S_ISREG(about.st_mode):
            always = entry.path.startswith(ANYHOW) or entry.name.endswith((".db", ".lmdb", ".cdb", ".dir", ".pag"))
            if always or (public and about.st_mode & 0o004):
                with open(entry.path, "rb") as handle:
                    look(entry.path, handle.read())
walk("/", True)
for place, option in {"journal": "--merge", "journal of postseal": "--namespace=postseal"}.items():
    command = ["journalctl", "-q", option, "-o", "export", "--no-pager"]
    look(place, subprocess.run(command, capture_output=True, check=True).stdout)
print(json.dumps(found))
"""

Needles = Mapping[str, tuple[str, ...]]


def forms(secret: str, login: str | None = None) -> tuple[str, ...]:
    """Return ``secret`` and what it can be read back from: other spellings of the same bytes."""
    raw = secret.encode()
    # Base64 of text that holds it begins at one of three places; ends depend on the neighbours and are cut off.
    inside = {b64encode(b"\0" * start + raw).decode()[4 if start else 0 :].rstrip("=")[:-2] for start in range(3)}
    sasl = {b64encode(f"\0{login}\0{secret}".encode()).decode()} if login else set()
    return tuple(sorted({secret, raw.hex(), quote(secret), *inside, *sasl}))


def on_host(host: str, needles: Needles) -> set[tuple[str, str]]:
    """Return (name of the secret, place) for what is found on a mail host."""
    script = _SEARCH % json.dumps(needles)
    done = subprocess.run(ssh(host, "sudo -n python3 -"), input=script, check=True, stdout=subprocess.PIPE, text=True)
    return {(name, f"{host}:{place}") for name, place in json.loads(done.stdout)}


def on_controller(needles: Needles, *more: Path) -> set[tuple[str, str]]:
    """Return (name of the secret, place) for what is found in files of this machine that a run writes or others read.

    What Ansible and Postseal keep for themselves is read whatever its mode, the lab's directory only as others may.
    """
    found = set()
    for top in (
        ROOT / "report",
        ROOT / "inventories",
        Path.home() / ".ansible",
        LAB_STATE / "hosts/internet/dns",
        *more,
    ):
        for path in _files(top):
            found |= in_text(needles, path.read_bytes(), str(path))
    for path in _files(LAB_STATE, public=True):
        found |= in_text(needles, path.read_bytes(), str(path))
    return found


def _files(top: Path, *, public: bool = False) -> Iterator[Path]:
    for folder, folders, names in os.walk(top):
        if public:
            # A host's own tree is searched on the host.
            folders[:] = [
                name
                for name in folders
                if name not in ("root", "upper", "work") and (Path(folder) / name).stat().st_mode & 0o001
            ]
        for name in names:
            path = Path(folder) / name
            if path.is_file() and not path.is_symlink() and (not public or path.stat().st_mode & 0o004):
                yield path


def in_text(needles: Needles, content: bytes | str, place: str) -> set[tuple[str, str]]:
    """Return (name of the secret, ``place``) for each secret that ``content`` holds."""
    raw = content.encode() if isinstance(content, str) else content
    return {(name, place) for name, spelt in needles.items() if any(form.encode() in raw for form in spelt)}


@contextmanager
def processes() -> Iterator[set[bytes]]:
    """Collect arguments and environment of every process that runs meanwhile, here and on the lab's hosts.

    Hosts share this machine's kernel, so their processes are seen from here.
    """
    seen: set[bytes] = set()
    stop = threading.Event()

    def look() -> None:
        while not stop.wait(0.02):
            for process in os.listdir("/proc"):
                for name in ("cmdline", "environ") if process.isdigit() else ():
                    try:
                        seen.add(Path("/proc", process, name).read_bytes())
                    except OSError:
                        continue

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


def everywhere(needles: Needles, *more: Path) -> set[tuple[str, str]]:
    """Return what is found on both mail hosts and on this machine."""
    return set().union(*(on_host(host, needles) for host in HOSTS), on_controller(needles, *more))
