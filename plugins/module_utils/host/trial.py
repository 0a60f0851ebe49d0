# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""A Postfix of its own, on loopback, that reads the staged files: the only check that sees what smtpd sees.

A misspelt restriction, a bad value of smtpd_tls_security_level or a missing certificate pass every checker and show at
the first connection. The instance has its own queue and no way to deliver, and lives in a process namespace that dies
with this process, however that ends. Standard library, Python 3.9.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterable
from typing import BinaryIO, NamedTuple

from .findings import Finding
from .processes import children
from .request import Paths, Probe
from .smoke import ProbeError, examine, glance
from .stage import Stage

QUEUE = "/var/spool/postfix"
START_SECONDS = 15.0
# Nothing that could carry a message away; cleanup stays, since smtpd asks for it at RCPT.
DROPPED = ("bounce", "discard", "error", "flush", "lmtp", "local", "oqmgr", "pickup", "pipe", "qmgr", "smtp", "virtual")
# That there is no queue manager is as it should be here.
FAULT = re.compile(r"\b(?:fatal|error|panic|warning): ((?!.*public/qmgr).+)")
# What the trial changes itself: listeners of its own, and no transports, whose parameters nobody uses then.
OURS = re.compile(r": overriding earlier entry: |: unused parameter: ")


class Listener(NamedTuple):
    """One ``inet`` service of master.cf: its address as written (empty: all), port, and the whole entry's fields."""

    address: str
    port: int
    fields: tuple[str, ...]

    @property
    def program(self) -> str:
        """Name of the daemon that answers."""
        return self.fields[7]

    @property
    def tls(self) -> str:
        """How a client that knows nothing else has to begin: ``wrapped`` or ``none`` (:class:`~.request.Probe`)."""
        return "wrapped" if any("smtpd_tls_wrappermode=yes" in field for field in self.fields[8:]) else "none"


def listeners(entries: str) -> list[Listener]:
    """Return the TCP listeners in the output of ``postconf -M``; names of ports are looked up in services(5)."""
    found = []
    for line in entries.splitlines():
        fields = tuple(line.split(None, 7)[:7]) + tuple(line.split(None, 8)[7:9])
        if len(fields) < 8 or fields[1] != "inet":  # noqa: PLR2004  # master(5): seven columns and the command
            continue
        address, _, port = fields[0].rpartition(":")
        try:
            number = int(port) if port.isdigit() else socket.getservbyname(port, "tcp")
        except OSError:
            continue  # postfix check names it
        found.append(Listener(address.strip("[]"), number, fields))
    return found


def ports_taken(stage: Stage, *, running: bool) -> list[Finding]:
    """Try to bind every port that the staged Postfix listens on and the running one does not.

    A reload with a taken port ends Postfix's master, with exit code 0 (both releases).
    """
    wanted = {(one.address, one.port) for one in listeners(stage.run(["postconf", "-M"]).stdout)}
    if running:
        done = subprocess.run(["postconf", "-M"], stdin=subprocess.DEVNULL, capture_output=True, check=False, text=True)
        wanted -= {(one.address, one.port) for one in listeners(done.stdout)}
    findings = []
    for address, port in sorted(wanted):
        problem = _cannot_bind(address, port)
        if problem:
            text = f"port {port} on {address or 'all addresses'}: {problem}"
            findings.append(Finding("ports", text, "/etc/postfix/master.cf"))
    return findings


def try_postfix(stage: Stage, probes: Iterable[Probe]) -> list[Finding]:
    """Start the trial instance, hold each of ``probes``' dialogs with it, and return what was wrong."""
    root = tempfile.mkdtemp(prefix="postfix.stage.trial.", dir=stage.paths.run)
    try:
        os.chmod(root, 0o711)  # noqa: S103  # the daemons run as postfix and must come through to their directories
        moved = _prepare(stage, root)
        with open(f"{root}/log", "w+b") as log:
            process = _start(stage, root, log)
            try:
                findings = _interview(process, moved, tuple(probes))
                ended = process.poll() is not None
            finally:
                _stop(process)
            log.seek(0)
            written = log.read().decode(errors="replace").replace(root, "")
    finally:
        shutil.rmtree(root, ignore_errors=True)
    if findings:
        words = [word for word in FAULT.findall(written) if not OURS.search(word)]
        words = words or (written.splitlines()[-3:] if ended else [])
        findings += [Finding("trial log", text) for text in dict.fromkeys(words)][:10]
    return findings


def _start(stage: Stage, root: str, log: BinaryIO) -> subprocess.Popen[bytes]:
    # Two safeguards: unshare dies with this process, its child with unshare, and with that child, the first process of
    # its namespace, everything in there. Postfix's master cannot be that first process: it changes its user for a
    # moment, and Linux then forgets that it should die with its parent (prctl(2), PR_SET_PDEATHSIG).
    return subprocess.Popen(
        [
            *("setpriv", "--pdeathsig", "KILL", "unshare", "-m", "-p", "--fork", "--kill-child"),
            *("sh", "-c", stage.script, stage.layer),
            *("sh", "-c", '"$@" & wait', "sh", "postfix", "-c", f"{root}/c", "start-fg"),
        ],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "MAIL_CONFIG": f"{root}/c"},
        start_new_session=True,
    )


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Kill the namespace's first process: unshare ends when the last process in there has ended."""
    for child in children(process.pid) or [process.pid]:
        os.kill(child, signal.SIGKILL)
    process.wait()


def _interview(
    process: subprocess.Popen[bytes], moved: dict[int, list[Listener]], probes: tuple[Probe, ...]
) -> list[Finding]:
    findings = []
    for port, places in moved.items():
        asked = [probe for probe in probes if probe.port == port] or [Probe(port=port, tls=places[0].tls)]
        for place in places:
            for probe in asked:
                here = probe._replace(address="127.0.0.1", port=place.port)
                problem = _await(process, here, full=probe in probes)
                if problem:
                    findings.append(Finding("trial", f"port {port}: {problem}"))
    missing = sorted({probe.port for probe in probes if probe.port} - set(moved))
    findings += [Finding("trial", f"nothing listens on port {port}", "/etc/postfix/master.cf") for port in missing]
    return findings


def _await(process: subprocess.Popen[bytes], probe: Probe, *, full: bool) -> str:
    """Return why ``probe`` fails, or nothing; only a refused connection is worth another try."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            examine(probe, Paths(), trusted=True) if full else glance(probe, Paths(), thorough=True)
        except ProbeError as problem:
            text = str(problem).replace(f"{probe}: ", "")
            if process.poll() is not None:
                return "Postfix ended"
            if "refused" not in text or time.monotonic() > deadline:
                return text
            time.sleep(0.02)
        else:
            return ""


def _prepare(stage: Stage, root: str) -> dict[int, list[Listener]]:
    """Write the trial's own configuration; return the listeners by the port they stand for."""
    for name in ("c", "q", "d"):
        os.mkdir(f"{root}/{name}", 0o755)
    settings = stage.run(["postconf", "-x", "mail_owner", "queue_directory"]).stdout
    owner = (re.search(r"^mail_owner = (\S+)", settings, re.M) or ["", "postfix"])[1]
    queue = (re.search(r"^queue_directory = (\S+)", settings, re.M) or ["", QUEUE])[1]
    account = pwd.getpwnam(owner)
    os.chown(f"{root}/d", account.pw_uid, -1)
    _link_sockets(queue, f"{root}/q", account.pw_uid)
    for name in ("dynamicmaps.cf", "dynamicmaps.cf.d"):
        source = stage.view(f"/etc/postfix/{name}")
        if os.path.isdir(source):
            shutil.copytree(source, f"{root}/c/{name}")
        elif os.path.isfile(source):
            shutil.copy2(source, f"{root}/c/{name}")
    entries = stage.run(["postconf", "-M"]).stdout
    moved: dict[int, list[Listener]] = {}
    master = []
    for line in entries.splitlines():
        fields = line.split(None, 8)
        if len(fields) < 8 or (fields[1] != "inet" and fields[7] in DROPPED):  # noqa: PLR2004
            continue
        fields[4] = "n"
        for listener in listeners(line):
            port = _free_port()
            moved.setdefault(listener.port, []).append(listener._replace(port=port))
            fields[0] = f"127.0.0.1:{port}"
        master.append(" ".join(fields))
    if not re.search(r"^postlog\s", entries, re.M):
        master.append("postlog unix-dgram n - n - 1 postlogd")
    _write_old(f"{root}/c/master.cf", "\n".join(master) + "\n")
    overrides = {
        "queue_directory": f"{root}/q",
        "data_directory": f"{root}/d",
        "inet_interfaces": "127.0.0.1",
        "inet_protocols": "ipv4",
        "syslog_name": "postfix-trial",
        "maillog_file": "/dev/stdout",  # postfix(1) start-fg: the log comes to us, not into the system's
        "smtpd_authorized_xclient_hosts": "127.0.0.1",
        "in_flow_delay": "0",  # it waits for deliveries, of which there are none here
        "multi_instance_enable": "no",
        "multi_instance_directories": "",
    }
    text = stage.read("/etc/postfix/main.cf") + "\n"
    _write_old(f"{root}/c/main.cf", text + "".join(f"{name} = {value}\n" for name, value in overrides.items()))
    return moved


def _link_sockets(queue: str, own: str, uid: int) -> None:
    """Make other services' sockets below the queue directory reachable: Postfix names them relative to it."""
    os.mkdir(f"{own}/private", 0o700)
    os.chown(f"{own}/private", uid, -1)
    standard = {"private", "public", "pid", "active", "bounce", "corrupt", "defer", "deferred", "flush", "hold"}
    standard |= {"incoming", "maildrop", "saved", "trace", "dev", "etc", "lib", "lib64", "usr"}
    if not os.path.isdir(queue):
        return
    for name in os.listdir(queue):
        if name not in standard:
            os.symlink(f"{queue}/{name}", f"{own}/{name}")
    # Sockets of Postfix's own services are made by the trial's master; "auth" and the like are somebody else's.
    for name in os.listdir(f"{queue}/private"):
        path = f"{queue}/private/{name}"
        if stat.S_ISSOCK(os.lstat(path).st_mode) and os.lstat(path).st_mode & 0o777 != 0o666:  # noqa: PLR2004
            os.symlink(path, f"{own}/private/{name}")
            os.lchown(f"{own}/private/{name}", uid, -1)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _cannot_bind(address: str, port: int) -> str:
    families = [(socket.AF_INET6, address)] if ":" in address else [(socket.AF_INET, address)]
    if not address:
        families = [(socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")]  # noqa: S104  # as Postfix will
    for family, place in families:
        try:
            with socket.socket(family) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind((place, port))
        except OSError as problem:
            if family == socket.AF_INET6 and not address and problem.errno == 97:  # noqa: PLR2004
                continue
            return problem.strerror or str(problem)
    return ""


def _write_old(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as handle:
        handle.write(text)
    past = time.time() - 3
    os.utime(path, (past, past))
