# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Install Debian packages in one go, with nothing started. Standard library, Python 3.9.

Why not Ansible's apt module: docs/decisions/0025-first-run.md.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from .errors import HostError
from .facts import installed
from .system import SupportFile, command

LISTS = (Path("/var/lib/apt/periodic/update-success-stamp"), Path("/var/lib/apt/lists"))
UNFINISHED = Path("/var/lib/dpkg/updates")
ENVIRONMENT = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
    "APT_LISTCHANGES_FRONTEND": "none",
    # systemctl leaves systemd alone (https://systemd.io/ENVIRONMENT): nothing starts with a packaged configuration, and
    # systemd does not read all units again for each package. Unlike a policy-rc.d it cannot be left behind.
    "SYSTEMD_OFFLINE": "1",
}
# Configuration files that exist stay as they are (dpkg(1)); what others hold locked is waited for (seconds).
KEEP = ("--force-confdef", "--force-confold")
OPTIONS = [*(f"-oDPkg::Options::={word}" for word in KEEP), "-oDPkg::Lock::Timeout=300", "--no-install-recommends"]
# Any other answer makes Postfix listen on port 25 with a configuration of its own (postfix.config, Debian).
ANSWERS = {"postfix": "postfix postfix/main_mailer_type select No configuration\n"}

GENERATOR = "postfix-instance-generator"
PACKAGED_GENERATOR = Path("/usr/lib/systemd/system-generators") / GENERATOR
# systemd.generator(7): what lies here goes before the packaged one, and is gone after a boot.
RUNTIME_GENERATORS = Path("/run/systemd/system-generators")
QUICK_GENERATOR = f"""\
#!/bin/sh
# Written by Postseal. Debian 12's generator asks postconf(1), which waits a second before it says that main.cf is
# missing, and systemd waits with it whenever it reads its units. Without main.cf there is no instance to generate.
[ -e /etc/postfix/main.cf ] || exit 0
exec {PACKAGED_GENERATOR} "$@"
"""

UNREACHABLE = re.compile(r"Failed to fetch|Could not (?:resolve|connect)|Unable to connect|Temporary failure", re.I)
LOCKED = re.compile(r"Could not get lock|is held by process", re.I)


def ensure(arguments: dict[str, Any]) -> dict[str, Any]:
    """Install those of ``names`` that are missing, without recommended packages; nothing is upgraded for its own sake.

    ``arguments``: ``names``, ``lists_age`` (seconds after which the package lists are fetched again first), ``check``
    (look, do not touch). Returns ``{"changed", "diff"}``: Ansible's diff says what was or would be installed. Raises
    :class:`HostError` with cause and remedy.
    """
    names = list(arguments["names"])
    missing = sorted(set(names) - set(installed(names)))
    if not missing:
        return {"changed": False, "diff": {"prepared": ""}}
    if arguments.get("check"):
        lines = _foreseen(missing)
    else:
        # dpkg must come to its end, whether the controller is still there or not.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        lines = _install(missing, int(arguments["lists_age"]))
    return {"changed": True, "diff": {"prepared": "".join(f"+ {line}\n" for line in lines)}}


def _install(missing: list[str], lists_age: int) -> list[str]:
    """Return name and version of each package that was installed."""
    if any(name.isdigit() for name in os.listdir(UNFINISHED)):
        _run(["dpkg", *KEEP, "--configure", "--pending"])  # an earlier run was cut off in the middle
    answers = "".join(answer for name, answer in ANSWERS.items() if name in missing)
    if answers:
        _run(["debconf-set-selections"], answers)
    stale = time.time() - _listed() > lists_age
    if stale:
        _update()
    install = ["apt-get", "-q", "-y", *OPTIONS, "install", *missing]
    try:
        output = _run(install)
    except HostError:
        # Lists may be old however young their folder is.
        if stale:
            raise
        _update()
        output = _run(install)
    _quicken()
    command("systemctl", "daemon-reload")
    return [f"{name} {version}" for name, version in re.findall(r"^Setting up (\S+) \((\S+)\)", output, re.MULTILINE)]


def _foreseen(missing: list[str]) -> list[str]:
    """Return what an installation would install: with what else it needs, where apt's lists can tell."""
    call = ["apt-get", "-q", "-s", "--no-install-recommends", "install", *missing]
    answer = subprocess.run(
        call, env=ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    lines = re.findall(r"^Inst (\S+) (?:\[[^]]*\] )?\((\S+)", answer.stdout, re.MULTILINE)
    return [f"{name} {version}" for name, version in lines] if answer.returncode == 0 else missing


def _listed() -> float:
    """Return when the package lists were last fetched, in seconds since the epoch."""
    return max((path.stat().st_mtime for path in LISTS if path.exists()), default=0.0)


def _update() -> None:
    # Without this a mirror that does not answer is a warning, and the old lists are used.
    _run(["apt-get", "-q", "-oAPT::Update::Error-Mode=any", "update"])


def _run(call: list[str], told: str = "") -> str:
    """Return what ``call`` printed; raises :class:`HostError` saying what is wrong and what to do about it."""
    answer = subprocess.run(call, env=ENVIRONMENT, input=told, capture_output=True, text=True, check=False)
    if answer.returncode == 0:
        return answer.stdout
    raise HostError(explain(" ".join(word for word in call if not word.startswith("-")), answer.stdout + answer.stderr))


def explain(call: str, output: str) -> str:
    """Return the operator's message for a ``call`` of apt-get or dpkg that failed with ``output``."""
    told = [line.strip() for line in output.splitlines() if re.match(r"\s*(E: |dpkg: error)", line)]
    cause = " ".join(dict.fromkeys(told[:2])) or " ".join(output.split()[-40:]) or "no reason given"
    if UNREACHABLE.search(output):
        remedy = "Check that the host reaches the package mirror of /etc/apt (resolver, way out, proxy) and run again"
    elif LOCKED.search(output):
        remedy = "Another program installs packages on the host: wait for it to end and run again"
    else:
        remedy = f"See what `{call}` says on the host, mend that and run again"
    return f"Step keys, installing packages: {call} failed: {cause} {remedy}; nothing has been configured yet."


def _quicken() -> None:
    """Keep systemd from waiting for Postfix's main.cf each time it reads its units, until the next boot."""
    if not PACKAGED_GENERATOR.exists() or Path("/etc/postfix/main.cf").exists():
        return
    quick = SupportFile(Path("/usr/local/lib/postseal") / GENERATOR, QUICK_GENERATOR, 0o755)
    quick.install()
    # A link, because /run is often mounted noexec.
    RUNTIME_GENERATORS.mkdir(mode=0o755, parents=True, exist_ok=True)
    link = RUNTIME_GENERATORS / GENERATOR
    link.unlink(missing_ok=True)
    link.symlink_to(quick.path)
