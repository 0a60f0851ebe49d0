# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The lab's two smarthosts: how an inventory names them, how to spoil them, and which of them a message came by."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from .applications import arrived
from .site import LAB_STATE, lab, lab_with_input

SECRETS = {name: (LAB_STATE / "secrets" / name) for name in ("relay-a", "relay-a-news", "relay-b")}
# The longest that a relay is given before the next one is tried, with time for two busy hosts.
TAKEN_OVER = 60.0
LISTENS = {
    relay: f"timeout 10 sh -c \"until ss -Hltn 'sport = 465' | grep -qF {address}:465; do sleep 0.1; done\""
    for relay, address in (("relay-a", "[fd97::11]"), ("relay-b", "[fd97::12]"))
}


def relay(name: str, server: str, login: str, secret: str, port: int) -> dict[str, Any]:
    """Return an element of ``postseal_relays``."""
    return {
        "name": name,
        "host": f"{server}.receiver.test",
        "port": port,
        "login": login,
        "secret": SECRETS[secret].read_text("ascii").strip(),
        # The other one's authority is known to everybody.
        **({"ca": f"{LAB_STATE}/pki/{server}-ca.crt"} if server == "relay-a" else {}),
        "spf": ["relays.receiver.test"],
    }


def spoil(name: str, **how: Any) -> None:
    """Start a smarthost anew with something wrong about it; with nothing, it is well."""
    lab_with_input(json.dumps(how), "ssh", "receiver", f"mkdir -p /run/lab; cat > /run/lab/{name}.json")
    lab("ssh", "receiver", f"systemctl kill -s CONT lab-{name}; systemctl restart lab-{name}; {LISTENS[name]}")


@dataclass(frozen=True)
class Way:
    """How a message came: the smarthost and its customer's login, or nothing; and what the receiver says of it."""

    relay: str
    login: str
    verdict: dict[str, Any]


def way(token: str, seconds: float = TAKEN_OVER) -> Way:
    """Return how the message with ``token`` came; it must be signed, authenticated and never have been in clear."""
    found = arrived(token, seconds)
    assert found, "it did not arrive"
    raw, verdict = found
    trace = re.findall(rb"Received: by (relay-\w)\.receiver\.test \(login (\S+), (TLSv1\.[23])\)", raw)
    assert len(trace) <= 1
    assert b"IN CLEAR" not in raw
    taken, login = (trace[0][0].decode(), trace[0][1].decode()) if trace else ("", "")
    assert (verdict["spf"], verdict["dmarc"]) == ("pass", "pass")
    assert [entry["result"] for entry in verdict["dkim"]] == ["pass", "pass"], "signed once with each key"
    return Way(taken, login, verdict)
