# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""A real Knot in place of Cloudflare's name servers: what the fake's store holds is what it answers."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Sequence
from pathlib import Path

import dns.query
import dns.rdatatype
import dns.tsig
import dns.update

from ..knot import HOST, Knot, free_port
from .rules import rdata
from .store import Touched, Zone

# What the world gets for a proxied name (DOCS/dns/proxy-status): an address of the proxy. Here, of TEST-NET-2.
PROXY = {"A": "198.51.100.1", "AAAA": "2001:db8:ffff::1"}
AUTOMATIC = 300  # DOCS/dns/manage-dns-records/reference/ttl


class Mirror:
    """The server. ``deaf``: types that it takes and drops, as broken propagation would."""

    def __init__(self, folder: Path, zones: Sequence[str]) -> None:
        self.zones, self.secret = tuple(zones), base64.b64encode(secrets.token_bytes(32)).decode()
        self.knot = Knot(folder / "mirror", free_port())
        self.deaf: set[str] = set()

    def start(self) -> None:
        folder = self.knot.folder
        for zone in self.zones:
            text = f"$ORIGIN {zone}.\n$TTL 300\n@ SOA ns1 hostmaster 1 60 60 600 5\n@ NS ns1\nns1 A {HOST}\n"
            (folder / f"{zone}.zone").write_text(text)
        self.knot.start(
            f"key:\n  - id: mirror\n    algorithm: hmac-sha256\n    secret: {self.secret}\n"
            "acl:\n  - id: mirror\n    key: mirror\n    action: update\n"
            f'template:\n  - id: default\n    storage: {folder}\n    file: "%s.zone"\n    zonefile-sync: -1\n'
            "    zonefile-load: difference-no-serial\n    journal-content: all\n    acl: mirror\n"
            "zone:\n" + "".join(f"  - domain: {zone}\n" for zone in self.zones)
        )
        self.knot.wait_for(self.zones[-1])

    def __call__(self, zone: Zone, touched: Touched) -> None:
        """Answer with the sets in ``touched`` as they are in the store now."""
        message = dns.update.UpdateMessage(zone.name)
        message.use_tsig(dns.tsig.Key("mirror.", self.secret, "hmac-sha256."))
        # What goes makes room first, or an alias is dropped silently (RFC 2136 3.4.2.2).
        for name, rrtype in sorted(touched):
            if rrtype not in self.deaf:
                message.delete(f"{name}.", rrtype)
        for name, rrtype in sorted(touched):
            for entry in zone.records.values():
                if (entry["name"], entry["type"]) == (name, rrtype) and rrtype not in self.deaf:
                    ttl = AUTOMATIC if entry["ttl"] == 1 else entry["ttl"]
                    data = rdata({**entry, "content": PROXY[rrtype]}) if entry["proxied"] else rdata(entry)
                    message.add(f"{name}.", ttl, data)
        answer = dns.query.tcp(message, HOST, port=self.knot.port, timeout=5)
        assert answer.rcode() == 0, answer
