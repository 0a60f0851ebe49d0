# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Does the lab's internet work? Asked from outside, service by service."""

from __future__ import annotations

import secrets
import socket
import ssl
import struct
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from . import config, credentials, hosts, zones
from .network import answers
from .run import LabError

SOA, AD = 6, 0x20


class NotWellError(Exception):
    """A service does not answer as it should; the text says what it did."""


@dataclass(frozen=True)
class Service:
    """A service of the lab and the check that raises NotWellError."""

    host: str
    name: str
    where: str
    check: Callable[[], None] = field(compare=False)


def query(server: str, name: str, kind: int = SOA) -> tuple[int, int, int]:
    """Ask SERVER over UDP (RFC 1035 4.1) with RD and AD set: response code, flags' low byte, number of answers."""
    number = secrets.randbelow(65536)
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.rstrip(".").split("."))
    # RFC 6840 5.7: AD in a query asks for AD in the answer.
    packet = struct.pack("!6H", number, 0x0120, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!2H", kind, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(1)
        try:
            client.sendto(packet, (server, 53))
            answer = client.recv(4096)
        except OSError as error:
            raise NotWellError(f"no answer for {name}: {error}") from error
    got, flags, _questions, count = struct.unpack("!4H", answer[:8])
    if got != number:
        raise NotWellError("an answer to another question")
    return flags & 15, flags & 255, count


def authoritative(lab: config.Lab, server: str) -> None:
    """SERVER answers the SOA of every zone."""
    for zone in zones.every_zone(lab):
        code, _flags, count = query(server, zone)
        if code or not count:
            raise NotWellError(f"{zone} has no SOA here (rcode {code})")


def validating(lab: config.Lab) -> None:
    """The resolver answers for every zone, and says that the answer is authentic."""
    for zone in zones.every_zone(lab):
        code, flags, count = query(lab.network.resolver, zone)
        if code or not count:
            raise NotWellError(f"{zone}: rcode {code}")
        if not flags & AD:
            raise NotWellError(f"{zone}: not validated")


def trusting(authority: str) -> ssl.SSLContext:
    """A client's TLS settings by which only AUTHORITY, a file among the lab's certificates, is believed."""
    file = config.PKI / authority
    if not file.exists():  # ssl's own error does not name it
        raise NotWellError(f"{file} is missing: this lab was made by another version; script/lab up repairs it")
    return ssl.create_default_context(cafile=str(file))


def fetch(url: str) -> bytes:
    """What the ACME authority answers under URL, its certificate verified."""
    context = trusting("acme-ca.crt")
    try:
        with urllib.request.urlopen(url, timeout=3, context=context) as answer:  # noqa: S310
            return bytes(answer.read())
    except (OSError, urllib.error.URLError) as error:
        raise NotWellError(f"{url}: {error}") from error


def directory(address: str) -> None:
    """The ACME directory is there."""
    if b"newOrder" not in fetch(f"https://{address}:14000/dir"):
        raise NotWellError("no ACME directory")


def greets(address: str, port: int, greeting: bytes) -> None:
    """Something at ADDRESS and PORT begins as its protocol does."""
    if not answers(address, port, greeting):
        raise NotWellError(f"no greeting from {address} port {port}")


def announces(address: str, domain: str) -> None:
    """The MTA-STS policy of DOMAIN is served at ADDRESS under the name that RFC 8461 3.2 gives it."""
    context = trusting("policy-ca.crt")
    name = f"mta-sts.{domain}"
    request = f"GET /.well-known/mta-sts.txt HTTP/1.0\r\nHost: {name}\r\n\r\n"
    try:
        with (
            socket.create_connection((address, 443), timeout=3) as plain,
            context.wrap_socket(plain, server_hostname=name) as connection,
        ):
            connection.sendall(request.encode())
            with connection.makefile("rb") as answer:
                said = answer.read()
    except OSError as error:
        raise NotWellError(f"no policy of {domain}: {error}") from error
    if b"\r\n\r\nversion: STSv1\r\n" not in said:
        raise NotWellError(f"no policy of {domain}")


def logs_in(host: config.Host) -> None:
    """HOST's user can log in over SSH."""
    if not hosts.lets_in(host):
        raise NotWellError("no login")


def logins(lab: config.Lab) -> tuple[Service, ...]:
    """SSH of each host."""
    return tuple(Service(host.name, "ssh", f"{host.user}@{host.address}", partial(logs_in, host)) for host in lab.hosts)


def internet(lab: config.Lab) -> tuple[Service, ...]:
    """What the lab plays of the internet."""
    at = {name.name: name.ipv4 for name in lab.names}
    ns1, ns2, receiver = at["ns1.lab.test"], at["ns2.lab.test"], at["receiver.receiver.test"]
    return (
        Service("internet", "ns1.lab.test", f"{ns1}:53", partial(authoritative, lab, ns1)),
        Service("internet", "ns2.lab.test", f"{ns2}:53", partial(authoritative, lab, ns2)),
        Service("internet", "resolver.lab.test", f"{lab.network.resolver}:53", partial(validating, lab)),
        Service("internet", "acme.lab.test", "https://acme.lab.test:14000/dir", partial(directory, ns1)),
        Service("receiver", "receiver.receiver.test", f"{receiver}:25", partial(greets, receiver, 25, b"220 ")),
        *(
            Service("receiver", f"mta-sts.{domain}", f"{receiver}:443", partial(announces, receiver, domain))
            for domain in lab.policies
        ),
    )


def state(service: Service) -> str:
    """What is wrong with SERVICE; an empty text if it is well."""
    try:
        service.check()
    except NotWellError as error:
        return str(error)
    return ""


def survey(checked: Iterable[Service]) -> dict[Service, str]:
    """Check services at the same time; those that are not well, each with what is wrong."""
    order = list(checked)
    with ThreadPoolExecutor(max_workers=8) as pool:
        found = zip(order, pool.map(state, order), strict=True)
        return {service: problem for service, problem in found if problem}


def wait(lab: config.Lab, seconds: float = 30) -> None:
    """Wait until the lab's internet works; LabError names the services that do not."""
    deadline = time.monotonic() + seconds
    pending = survey(internet(lab))
    while pending:
        if time.monotonic() > deadline:
            lines = [f"{service.name} ({service.host}): {problem}" for service, problem in pending.items()]
            raise LabError("\n  ".join(["these services do not answer as they should", *lines]))
        time.sleep(0.05)
        pending = survey(pending)


def write_bundle(lab: config.Lab) -> None:
    """ca.pem: what a client of the lab has to trust: its ACME authority's API, what that issues, the policy host.

    Pebble makes a new issuing root at each start; the file is rewritten when that has happened.
    """
    address = lab.host("internet").address
    root = fetch(f"https://{address}:15000/roots/0").decode()
    text = "".join((config.PKI / f"{name}-ca.crt").read_text() for name in ("acme", "policy")) + root
    if not config.CA_BUNDLE.exists() or config.CA_BUNDLE.read_text() != text:
        credentials.write(config.CA_BUNDLE, text, 0o644)


def write_anchors(lab: config.Lab) -> None:
    """anchors: the DS records of the lab's zones, for resolvers that verify signatures themselves."""
    text = hosts.ssh(lab.host("internet"), "cat /run/lab-anchors").stdout
    if not config.ANCHORS.exists() or config.ANCHORS.read_text() != text:
        credentials.write(config.ANCHORS, text, 0o644)
