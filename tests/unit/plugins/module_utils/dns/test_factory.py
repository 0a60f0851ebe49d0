# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Each provider is made in a Python of its own, where a library can be made to be missing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import get_args

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.model import providers as model

ROOT = Path(__file__).parents[5]
PLUGINS = "ansible_collections.postseal.mail.plugins.module_utils"
# Settings, the class that they become, and the library that it needs.
KINDS: Mapping[str, tuple[str, str, str]] = {
    "Cloudflare": ("model.Cloudflare('p', secret)", "CloudflareProvider", "cloudflare"),
    "OctoDns": (
        "model.OctoDns('p', 'octodns_powerdns.PowerDnsProvider', (('host', secret), ('api_key', secret)))",
        "OctoDnsProvider",
        "octodns",
    ),
    "PowerDns": ("model.PowerDns('p', 'http://127.0.0.1:1', secret)", "PowerDnsProvider", "dns"),
    "Rfc2136": (
        "model.Rfc2136('p', '127.0.0.1', 1, model.Tsig('key', 'hmac-sha256', secret))",
        "Rfc2136Provider",
        "dns",
    ),
    "Route53": ("model.Route53('p', 'key', secret)", "Route53Provider", "boto3"),
    "ZoneFile": ("model.ZoneFile('p', '/nowhere')", "ZoneFileProvider", "dns"),
}
PACKAGES = {"dns": "dnspython"}


def build(settings: str, missing: str = "") -> str:
    """Return the name of the class that ``settings`` become, or what the error says."""
    code = f"""
import sys
if {missing!r}:
    sys.modules[{missing!r}] = None
from {PLUGINS}.dns.errors import MissingLibrary
from {PLUGINS}.dns.providers.factory import build
from {PLUGINS}.model import providers as model
from {PLUGINS}.model.secret import Secret
secret = Secret("c2VjcmV0")
try:
    print(type(build({settings})).__name__)
except MissingLibrary as error:
    print(error)
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, timeout=60, env={"PYTHONPATH": str(ROOT / "collections")}
    )
    return done.stdout.strip()


def test_every_kind_of_provider_is_here() -> None:
    assert set(KINDS) == {kind.__name__ for kind in get_args(model.Provider)}


@pytest.mark.parametrize("kind", KINDS)
def test_settings_become_their_provider(kind: str) -> None:
    settings, name, _ = KINDS[kind]
    assert build(settings) == name


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_library_is_told_with_what_to_install(kind: str) -> None:
    settings, _, library = KINDS[kind]
    said = build(settings, missing=library)
    package = PACKAGES.get(library, library)
    assert said.startswith(f"DNS provider p: the Python library {package} is missing (")
    assert f"Install {package}" in said
