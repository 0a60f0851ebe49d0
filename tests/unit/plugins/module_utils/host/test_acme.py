# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What certbot and the authority say, turned into a cause and a remedy."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.host.acme import (
    REMEDIES,
    explain,
    probe,
    refusals,
    retire_account,
)
from ansible_collections.postseal.mail.plugins.module_utils.host.errors import HostError
from ansible_collections.postseal.mail.plugins.module_utils.host.lineage import Order

ORDER = Order("mail.example.com", ("mail.example.com",), Path("/key"), "https://acme.example/dir")

# As certbot 4.0 printed it on Debian 13, shortened.
CHALLENGE = """
Saving debug log to /var/log/letsencrypt/letsencrypt.log
Renewing an existing certificate for mail.example.com and smtp.example.com

Certbot failed to authenticate some domains (authenticator: webroot). The Certificate Authority reported these problems:
  Domain: smtp.example.com
  Type:   unauthorized
  Detail: Non-200 status code from HTTP: http://smtp.example.com:80/.well-known/acme-challenge/x returned 404

Hint: The Certificate Authority failed to download the temporary challenge files created by Certbot.

Some challenges have failed.
Ask for help or search for solutions at https://community.letsencrypt.org.
"""


def test_a_failed_challenge_names_the_name_and_what_to_do() -> None:
    text = explain(CHALLENGE, ORDER)
    assert "smtp.example.com (unauthorized: Non-200 status code" in text
    assert text.endswith(REMEDIES["unauthorized"])


def test_every_failed_name_is_told() -> None:
    both = CHALLENGE + CHALLENGE.replace("smtp.example.com", "mail.example.com").replace("unauthorized", "dns")
    lines = explain(both, ORDER).splitlines()
    assert [line.partition(" (")[0].rpartition(" ")[2] for line in lines] == ["smtp.example.com", "mail.example.com"]
    assert lines[1].endswith(REMEDIES["dns"])


@pytest.mark.parametrize(
    ("output", "cause", "remedy"),
    [
        (
            "An unexpected error occurred:\nurn:ietf:params:acme:error:rateLimited :: There were too many requests of "
            "a given type :: too many certificates",
            "rateLimited: There were too many",
            REMEDIES["rateLimited"],
        ),
        (
            "acme.messages.Error: urn:ietf:params:acme:error:accountDoesNotExist :: No such account",
            "accountDoesNotExist",
            REMEDIES["accountDoesNotExist"],
        ),
        ("urn:ietf:params:acme:error:neverHeardOf :: x", "neverHeardOf", "letsencrypt.log"),
        ("Another instance of Certbot is already running.", "busy", "in a minute"),
        ("Saving debug log to x\nSomething broke\n", "certbot failed", "Something broke"),
        ("", "certbot failed", "no reason"),
    ],
)
def test_other_failures(output: str, cause: str, remedy: str) -> None:
    text = explain(output, ORDER)
    assert cause in text
    assert remedy in text


# As certbot 2.1 logged it on Debian 12, where it printed nothing but an AttributeError.
LOG = """
{
  "type": "urn:ietf:params:acme:error:badNonce",
  "detail": "JWS has an invalid anti-replay nonce: x",
  "status": 400
}
2026-11-21 23:59:01,123:DEBUG:acme.client:Received response:
{
  "type": "urn:ietf:params:acme:error:rejectedIdentifier",
  "detail": "Order included a \\"blocked\\" name",
  "status": 400
}
"""


def test_what_certbot_does_not_print_is_read_from_its_log() -> None:
    found = refusals(LOG)
    assert len(found) == 1
    text = explain("\n".join(["AttributeError: can't set attribute", *found]), ORDER)
    assert "rejectedIdentifier: Order included a" in text
    assert text.endswith(REMEDIES["rejectedIdentifier"])


class Directory(BaseHTTPRequestHandler):
    """An authority of sorts: the path says what it answers."""

    def do_GET(self) -> None:  # the name http.server calls
        body = {"/dir": b'{"newOrder": "x"}', "/list": b"[]", "/other": b"{}", "/page": b"<html>"}.get(self.path)
        self.send_response(200 if body is not None else 404)
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *_arguments: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def server() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Directory) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()


def test_a_directory_is_recognised(server: str) -> None:
    probe(f"{server}/dir", None)


@pytest.mark.parametrize("path", ["/list", "/other", "/page", "/none"])
def test_anything_else_is_not_taken_for_a_directory(server: str, path: str) -> None:
    with pytest.raises(HostError, match=r"directory.*postseal_tls\.issuer"):
        probe(server + path, None)


def test_an_authority_that_is_not_there_is_named(server: str) -> None:
    with pytest.raises(HostError, match=r"127\.0\.0\.1:1/dir cannot be reached.*refused"):
        probe("http://127.0.0.1:1/dir", None)


def test_a_ca_file_without_a_certificate_is_named() -> None:
    with pytest.raises(HostError, match=r"postseal_tls\.ca"):
        probe("https://127.0.0.1:1/dir", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n")


def test_a_lost_account_is_put_aside_and_no_other(tmp_path: Path) -> None:
    for name in ("acme.example:14000/dir/abc", "acme.example:14000/dir.lost/older", "other.example/directory/def"):
        (tmp_path / name).mkdir(parents=True)
    assert retire_account("https://acme.example:14000/dir", tmp_path)
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.glob("*/*/*")) == [
        "acme.example:14000/dir.lost/abc",
        "other.example/directory/def",
    ]
    assert not retire_account("https://acme.example:14000/dir", tmp_path)
