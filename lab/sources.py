# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The package mirror: the one this machine uses, asked for another Debian release.

The lab names no mirror of its own. It reads the machine's apt sources (sources.list(5), both formats), keeps the
entries that are Debian's own, and swaps the release in their suites.
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .run import LabError, run

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
POCKETS = ("", "-updates", "-security")

# Settings of `apt-config dump` that a host needs to reach the same mirror in the same way: proxies, and dates that
# are not checked where the mirror is a frozen copy.
CARRIED = re.compile(r"^Acquire::(Check-(Valid-Until|Date)|Retries|(https?|ftp)::(Proxy|Timeout)\b).*;$")


@dataclass(frozen=True)
class Source:
    """One entry: where, and which pocket of the release ("" for the release itself)."""

    uri: str
    pocket: str


def from_deb822(text: str, releases: Iterable[str]) -> Iterator[Source]:
    """The Debian entries of a `.sources` file."""
    for paragraph in re.split(r"\n\s*\n", re.sub(r"(?m)^#.*\n?", "", text)):
        fields = {
            name.lower(): " ".join(value.split())
            for name, value in re.findall(r"(?m)^([A-Za-z-]+):((?:.*(?:\n[ \t].*)*))", paragraph)
        }
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes") == "no":
            continue
        if "main" not in fields.get("components", "").split():
            continue
        if "signed-by" in fields and "debian-archive" not in fields["signed-by"]:
            continue
        for uri in fields.get("uris", "").split():
            yield from entries(uri, fields.get("suites", "").split(), releases)


def from_lines(text: str, releases: Iterable[str]) -> Iterator[Source]:
    """The Debian entries of a `.list` file."""
    for line in text.splitlines():
        match = re.match(r"deb\s+(?:\[([^]]*)\]\s+)?(\S+)\s+(\S+)\s+(.*)", line.split("#")[0].strip())
        if not match or "main" not in match[4].split():
            continue
        if "signed-by=" in (match[1] or "") and "debian-archive" not in match[1]:
            continue
        yield from entries(match[2], [match[3]], releases)


def entries(uri: str, suites: Iterable[str], releases: Iterable[str]) -> Iterator[Source]:
    """Those of SUITES that are a pocket of one of RELEASES (a code name and its aliases)."""
    for suite in suites:
        for release in releases:
            pocket = suite.removeprefix(release)
            if suite.startswith(release) and pocket in POCKETS:
                yield Source(uri.rstrip("/"), pocket)


def machine_sources(etc: Path = Path("/etc")) -> tuple[Source, ...]:
    """Debian's entries among this machine's apt sources; LabError if there are none."""
    codename = platform.freedesktop_os_release().get("VERSION_CODENAME", "stable")
    releases = (codename, "stable")
    found: dict[Source, None] = {}
    for path in [etc / "apt/sources.list", *sorted((etc / "apt/sources.list.d").glob("*"))]:
        if path.suffix == ".sources":
            found |= dict.fromkeys(from_deb822(path.read_text(), releases))
        elif path.suffix == ".list" and path.is_file():
            found |= dict.fromkeys(from_lines(path.read_text(), releases))
    if not any(source.pocket == "" for source in found):
        raise LabError(
            f"no Debian mirror for {codename} among /etc/apt/sources.list and /etc/apt/sources.list.d; "
            "the lab takes its packages from the mirror of this machine, which has to be Debian"
        )
    return tuple(found)


def for_release(sources: Iterable[Source], release: str) -> str:
    """The text of a `.sources` file that asks the same mirrors for RELEASE."""
    return "\n".join(
        f"Types: deb\nURIs: {source.uri}\nSuites: {release}{source.pocket}\nComponents: main\nSigned-By: {KEYRING}\n"
        for source in sources
    )


def apt_options() -> tuple[str, ...]:
    """The machine's apt settings that matter for reaching the mirror, as lines of apt.conf(5)."""
    carried = [line for line in run(["apt-config", "dump"]).splitlines() if CARRIED.match(line) and '""' not in line]
    # apt obeys these variables too (apt-transport-http(1)), but hosts do not inherit them.
    proxies = [
        f'Acquire::{scheme}::Proxy "{address}";'
        for scheme in ("http", "https")
        if (address := os.environ.get(f"{scheme}_proxy")) and not any(f"::{scheme}::Proxy" in line for line in carried)
    ]
    return (
        *carried,
        *proxies,
        # Packages stay where `lab` collects them for the next host (also those that `apt` fetched, not only apt-get).
        'APT::Keep-Downloaded-Packages "1";',
        'Binary::apt::APT::Keep-Downloaded-Packages "1";',
    )
