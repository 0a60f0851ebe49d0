# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Render client cards from ``templates/``: one page in Markdown and one in HTML for each credential."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ..module_utils.model import cards
from ..module_utils.model.cards import Card

TEMPLATES = Path(__file__).resolve().parents[2] / "templates"
FILTERS = ("python", "javascript", "single", "shell", "markdown", "fence")
CLIENTS = {
    "wordpress.php": ("WordPress with WP Mail SMTP", "php"),
    "phpmailer.php": ("PHPMailer", "php"),
    "smtplib.py": ("Python", "python"),
    "django.py": ("Django", "python"),
    "rails.rb": ("Ruby on Rails", "ruby"),
    "nodemailer.js": ("Nodemailer", "js"),
    "msmtprc": ("msmtp", "text"),
    "curl.sh": ("curl", "sh"),
}


@dataclass(frozen=True)
class Client:
    """One client program: ``text`` are its settings in ``language``."""

    title: str
    language: str
    text: str


@cache
def _environment(*, escape: bool) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        # Settings and Markdown are no HTML; they have filters of their own.
        autoescape=escape,  # noqa: S701
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update({name: getattr(cards, name) for name in FILTERS})
    return environment


def client(card: Card, name: str) -> str:
    """Return the settings of the client called ``name`` (a key of :data:`CLIENTS`)."""
    return _environment(escape=False).get_template(f"clients/{name}.j2").render(card=card)


def pages(card: Card) -> dict[str, str]:
    """Return file name -> text of the card's pages."""
    clients = [Client(title, language, client(card, name).rstrip("\n")) for name, (title, language) in CLIENTS.items()]
    said = {"card": card, "facts": facts(card), "clients": clients}
    return {
        f"{card.login}.{kind}": _environment(escape=kind == "html").get_template(f"client-card.{kind}.j2").render(said)
        for kind in ("md", "html")
    }


def facts(card: Card) -> list[tuple[str, str]]:
    """Return what every client needs to be told, as pairs of a setting and its value."""
    ports = f"{card.port} with TLS from the first byte (SSL/TLS), or {card.starttls_port} with STARTTLS"
    if card.alternative_port:
        ports += f"; {card.alternative_port} with STARTTLS where a network closes both"
    found = [
        ("server", " or ".join(card.hosts)),
        ("port and encryption", ports),
        ("user name", card.login),
        ("password", "yours; authentication method PLAIN or LOGIN"),
        ("sender", ", ".join(_sender(sender) for sender in card.senders)),
        ("of one message", f"at most {card.recipients} recipients and {card.size} MiB"),
    ]
    if card.rate:
        found.append(("at most", ", ".join(card.rate)))
    if card.networks:
        found.append(("only from", ", ".join(card.networks)))
    if card.expires:
        found.append(("valid until", f"{card.expires} (UTC, inclusive)"))
    return found


def _sender(written: str) -> str:
    return f"any address {written}" if written.startswith("@") else written
