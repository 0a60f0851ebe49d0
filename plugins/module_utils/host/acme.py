# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Talk to the ACME authority, and say what went wrong in words that help. Standard library, Python 3.9."""

from __future__ import annotations

import json
import os
import re
import shutil
import ssl
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from .errors import HostError
from .lineage import Order
from .responder import WEBROOT

ACCOUNTS = Path("/etc/letsencrypt/accounts")
LOG = Path("/var/log/letsencrypt/letsencrypt.log")
TIMEOUT = 20
ISSUE_TIMEOUT = 300

# Error types of RFC 8555 6.7 -> what an operator does about it.
REMEDIES = {
    "accountDoesNotExist": "the authority does not keep the account this host just made; ask who runs it",
    "caa": "let a CAA record of the domain allow this authority",
    "connection": "make the name point to this host, and port 80 of this host reachable for the authority over every "
    "address the name has",
    "dns": "make the name resolve for the authority",
    "invalidContact": "correct the address in postseal_tls.contact",
    "rateLimited": "wait, or use the authority's staging directory while trying things out (postseal_tls.issuer)",
    "rejectedIdentifier": "the authority will not certify this name; choose another host name or authority",
    "unauthorized": "let http://NAME/.well-known/acme-challenge/ be answered by this host, not by a proxy before it",
    "unsupportedContact": "use an address the authority accepts in postseal_tls.contact, or leave it out",
}


def probe(directory: str, ca: str | None) -> None:
    """Fetch the directory object (RFC 8555 7.1.1); raises :class:`HostError` unless it is a trusted one.

    ``ca`` is PEM text of the authorities to trust instead of the system's.
    """
    remedy = "check postseal_tls.issuer, and this host's resolver and way out"
    try:
        context = ssl.create_default_context(cadata=ca)
        with urllib.request.urlopen(directory, timeout=TIMEOUT, context=context) as answer:  # noqa: S310
            found = json.load(answer)
    except ssl.SSLError as error:
        raise HostError(f"the file named by postseal_tls.ca holds no usable certificate: {error.reason}") from None
    except urllib.error.HTTPError as error:
        raise HostError(f"{directory} answers HTTP {error.code}: it is no ACME directory; {remedy}") from None
    except urllib.error.URLError as error:
        if isinstance(error.reason, ssl.SSLCertVerificationError):
            raise HostError(
                f"the ACME authority {directory} is not trusted ({error.reason.verify_message}); name its CA "
                "certificate in postseal_tls.ca, or leave that out for a public authority"
            ) from None
        raise HostError(f"the ACME authority {directory} cannot be reached: {error.reason}; {remedy}") from None
    except OSError as error:
        raise HostError(f"the ACME authority {directory} cannot be reached: {error}; {remedy}") from None
    except ValueError:
        raise HostError(f"{directory} does not answer with an ACME directory; {remedy}") from None
    if not isinstance(found, dict) or "newOrder" not in found:
        raise HostError(f"{directory} does not answer with an ACME directory; {remedy}")


def certbot(order: Order, ca_file: Path | None) -> None:
    """Let certbot get a certificate into the existing lineage, with the key it holds.

    An account that the authority no longer knows is replaced by a new one. Raises :class:`HostError` with cause and
    remedy.
    """
    output = _certonly(order, ca_file)
    if output and "accountDoesNotExist" in output and retire_account(order.directory):
        output = _certonly(order, ca_file)
    if output is not None:
        raise HostError(explain(output, order))


def retire_account(directory: str, accounts: Path = ACCOUNTS) -> bool:
    """Put certbot's account at the authority aside, to ``*.lost``; return whether there was one."""
    url = urllib.parse.urlsplit(directory)
    folder = accounts / (url.netloc + url.path)
    if not folder.is_dir():
        return False
    aside = folder.with_name(f"{folder.name}.lost")
    if aside.exists():
        shutil.rmtree(aside)
    folder.rename(aside)
    return True


def _certonly(order: Order, ca_file: Path | None) -> str | None:
    """Run certbot; return ``None`` for success, else what it printed. Raises :class:`HostError` if it cannot run."""
    account = ["--email", order.contact, "--no-eff-email"] if order.contact else ["--register-unsafely-without-email"]
    names = [argument for name in order.names for argument in ("--domain", name)]
    order_now = ["--force-renewal", "--renew-with-new-domains", "--reuse-key", "--key-type", "ecdsa"]
    quiet = ["--non-interactive", "--agree-tos", "--server", order.directory]
    answering = ["--webroot", "--webroot-path", str(WEBROOT)]
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    if ca_file:
        environment["REQUESTS_CA_BUNDLE"] = str(ca_file)
    logged = _size(LOG)
    try:
        answer = subprocess.run(
            ["certbot", "certonly", *quiet, *answering, *account, "--cert-name", order.name, *names, *order_now],
            capture_output=True,
            text=True,
            check=False,
            env=environment,
            stdin=subprocess.DEVNULL,
            timeout=ISSUE_TIMEOUT,
        )
    except FileNotFoundError:
        raise HostError("certbot is not installed on this host; run the role postseal.mail.packages first") from None
    except subprocess.TimeoutExpired:
        raise HostError(f"{order.directory} gave no certificate within {ISSUE_TIMEOUT} seconds; run again") from None
    if answer.returncode == 0:
        return None
    written = LOG.read_bytes()[logged if _size(LOG) >= logged else 0 :] if LOG.exists() else b""
    return "\n".join([answer.stdout, answer.stderr, *refusals(written.decode(errors="replace"))])


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def refusals(log: str) -> list[str]:
    """Return the authority's problem documents (RFC 8555 6.7) in certbot's log, one line each, oldest first.

    certbot 2.1 trips over many of them and prints an error of its own instead, 4.0 prints some without their type.
    """
    found = re.findall(r'"type": "(urn:ietf:params:acme:error:\w+)",\s+"detail": "((?:[^"\\\n]|\\.)*)"', log)
    return [f"{kind} :: {detail}" for kind, detail in found if not kind.endswith(":badNonce")]  # 6.5: tried again


def explain(output: str, order: Order) -> str:
    """Return one message, cause and remedy, for what certbot printed when it failed."""
    if "Another instance of Certbot is already running" in output:
        return "certbot is busy with a renewal of its own on this host; run again in a minute"
    problems = re.findall(r"Domain:\s*(\S+)\s+Type:\s*(\w+)\s+Detail:\s*([^\n]+)", output)
    if problems:
        return "\n".join(_refusal(order, *problem) for problem in problems)
    refused = re.findall(r"urn:ietf:params:acme:error:(\w+)[\s:]*([^\n]*)", output)
    if refused:
        kind, detail = refused[-1]
        return _refusal(order, ", ".join(order.names), kind, detail.strip(" :"))
    noise = re.compile(r"^(Saving debug log|Ask for help|See the logfile|Requesting|Renewing|Account registered|\s*$)")
    telling = [line.strip() for line in output.splitlines() if not noise.match(line)]
    return f"certbot failed for {order.name}: {' '.join(telling[-3:]) or 'it gave no reason'}"


def _refusal(order: Order, names: str, kind: str, detail: str) -> str:
    remedy = REMEDIES.get(kind, "see /var/log/letsencrypt/letsencrypt.log on the host")
    return f"{order.directory} refused a certificate for {names} ({kind}: {detail}); {remedy}"
