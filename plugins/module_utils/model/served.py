# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""A short name for all that the mail services are made of: where it is another one, services.yml has to run."""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields, is_dataclass, replace
from datetime import date
from typing import Any

from .secret import Secret
from .types import Model

SERVED = ("dovecot", "rspamd", "postfix")
"""The services whose notes keep the name; every playbook that changes credentials brings all three."""


def served(model: Model) -> str:
    """Return the name: sixteen hexadecimal digits, from which no secret can be read.

    What only the DNS or the proof is about is left out, and so is a previous password: it ends by itself on its day.
    """
    credentials = [replace(one, previous_hash=None, previous_until=None) for one in model.credentials]
    domains = [(domain.name, domain.subdomains) for domain in model.sending_domains]
    limited = (model.submission, model.limits, model.containment, model.log)
    parts = (model.hosts, domains, credentials, limited, model.relays, model.routes, model.pace)
    return hashlib.sha256(json.dumps(parts, default=_plain).encode()).hexdigest()[:16]


def _plain(value: Any) -> Any:
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, date):
        return value.isoformat()
    if is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    raise TypeError(f"{type(value).__name__} has no place in a model")
