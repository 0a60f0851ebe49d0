# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""sslyze, run as a program: every version, suite and group there is, judged by Mozilla's intermediate profile.

It makes about 600 connections to a port. Its own library is not imported: licence and pins are not ours.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .smtp import UnavailableError
from .targets import Endpoint

SECONDS = 180
_TARGET = re.compile(r"\s+(?P<host>[^\s:]+):(?P<port>\d+): (?P<verdict>OK|FAILED|ERROR)(?: - (?P<text>.*))?")
_ISSUE = re.compile(r"\s+\* (?P<text>\w+: .*)")


@dataclass(frozen=True)
class Compliance:
    """What the scan of one port came to: ``issues`` is empty for a port that complies."""

    issues: tuple[str, ...] = ()
    error: str = ""


def scan(program: Path, endpoints: Iterable[Endpoint], ca: str | None) -> dict[Endpoint, Compliance]:
    """Scan ports that all begin in the clear, or all inside TLS; raises :class:`UnavailableError` for no end."""
    targets = {(endpoint.host, endpoint.port): endpoint for endpoint in endpoints}
    if not targets:
        return {}
    command = [str(program), "--mozilla_config=intermediate"]
    command += ["--starttls=smtp"] if not next(iter(targets.values())).implicit_tls else []
    command += [f"--certinfo_ca_file={ca}"] if ca else []
    command += [f"{host}:{port}{{{_address(endpoint)}}}" for (host, port), endpoint in targets.items()]
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=SECONDS, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"sslyze did not end within {SECONDS} s") from None
    except OSError as error:
        raise UnavailableError(f"{program} cannot be run: {error.strerror}") from None
    found = parse(answer.stdout)
    last = (answer.stderr.strip() or answer.stdout.strip() or "nothing").splitlines()[-1][:160]
    missing = Compliance(error=f"sslyze says nothing about the port; its last line: {last}")
    return {endpoint: found.get(place, missing) for place, endpoint in targets.items()}


def _address(endpoint: Endpoint) -> str:
    return f"[{endpoint.address}]" if ":" in endpoint.address else endpoint.address


def parse(output: str) -> dict[tuple[str, int], Compliance]:
    """Return what sslyze's output says about each (host, port) in its part on compliance."""
    found: dict[tuple[str, int], Compliance] = {}
    place = ("", 0)
    for line in output.partition("COMPLIANCE AGAINST")[2].splitlines():
        if target := _TARGET.fullmatch(line.rstrip()):
            place = (target["host"], int(target["port"]))
            failed = target["verdict"] == "ERROR"
            found[place] = Compliance(error=(target["text"] or "no reason given") if failed else "")
            if target["verdict"] == "FAILED":
                found[place] = Compliance(issues=("not compliant",))
        elif (issue := _ISSUE.fullmatch(line.rstrip())) and place in found:
            known = tuple(text for text in found[place].issues if text != "not compliant")
            found[place] = Compliance((*known, issue["text"]), found[place].error)
    return found
