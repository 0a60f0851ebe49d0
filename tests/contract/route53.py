# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""moto's Route 53 behind HTTP on loopback, with the rules of the real one that moto leaves out.

What the real service answers: https://docs.aws.amazon.com/Route53/latest/APIReference/API_ChangeResourceRecordSets.html
and texts that others saw (octodns/octodns-route53#14, getmoto/moto#7153, floci-io/floci#3565).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import boto3.session
from ansible_collections.postseal.mail.plugins.module_utils.dns.providers.route53 import Route53Provider
from ansible_collections.postseal.mail.plugins.module_utils.dns.providers.route53_text import text_of
from ansible_collections.postseal.mail.plugins.module_utils.dns.records import Value
from ansible_collections.postseal.mail.plugins.module_utils.dns.throttle import Throttle
from ansible_collections.postseal.mail.plugins.module_utils.model.types import Route53, Secret
from moto.route53 import models
from moto.route53.exceptions import Route53ClientError
from moto.server import ThreadedMotoServer

from .knot import HOST

_STRINGS = re.compile(r'"(?:[^"\\]|\\.)*"(?:\s+"(?:[^"\\]|\\.)*")*')
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')
_ESCAPE = re.compile(r"\\[0-7]{3}|\\.")


def change_resource_record_sets(backend: models.Route53Backend, zoneid: str, change_list: list[dict[str, Any]]) -> None:
    """All or nothing, one after the other, each against what those before it made; replaces moto's."""
    zone = backend.get_hosted_zone(zoneid)
    sets = {(found.name, found.type, found.set_identifier): found for found in zone.rrsets}
    wrong: list[str] = []
    records = [record for change in change_list for record in change["ResourceRecordSet"].get("ResourceRecords", ())]
    if len(records) > 1000 or sum(len(record["Value"]) for record in records) > 32000:
        raise Route53ClientError("InvalidChangeBatch", "Number of records limit of 1000 exceeded.")
    for change in change_list:
        written = change["ResourceRecordSet"]
        name, rrtype = written["Name"].rstrip(".") + ".", written["Type"]
        key = (name, rrtype, written.get("SetIdentifier"))
        what = f"resource record set [name='{name}', type='{rrtype}']"
        values = [record["Value"] for record in written.get("ResourceRecords", ())]
        if change["Action"] == "DELETE":
            found = sets.pop(key, None)
            if found is None:
                wrong.append(f"Tried to delete {what} but it was not found")
            elif (str(found.ttl), sorted(found.records)) != (str(written.get("TTL")), sorted(values)):
                wrong.append(f"Tried to delete {what} but the values provided do not match the current values")
            continue
        if change["Action"] == "CREATE" and key in sets:
            wrong.append(f"Tried to create {what} but it already exists")
        if any(other[0] == name and "CNAME" in (rrtype, other[1]) and other[1] != rrtype for other in sets):
            wrong.append(
                f"RRSet of type {rrtype} with DNS name {name} is not permitted as it conflicts with other records "
                f"with the same DNS name in zone {zone.name}"
            )
        wrong += [told for value in values if (told := _wrong(rrtype, value))]
        sets[key] = models.RecordSet({**written, "Name": name, "ResourceRecords": values})
    if wrong:
        raise Route53ClientError("InvalidChangeBatch", f"[{', '.join(wrong)}]")
    zone.rrsets = list(sets.values())


def _wrong(rrtype: str, value: str) -> str:
    """ResourceRecordTypes.html, TXT: quoted strings of up to 255 characters, 4000 in all; octal escapes."""
    if rrtype != "TXT":
        return ""
    if len(value) > 4000:
        return f"Value is too long: {value[:20]}"
    if not _STRINGS.fullmatch(value) or not (value.isascii() and value.isprintable()):
        return f"Invalid Resource Record: 'FATAL problem: InvalidCharacterString encountered with {value[:20]}'"
    if any(len(_ESCAPE.sub("x", string)) > 255 for string in _STRING.findall(value)):
        return f"Invalid Resource Record: 'FATAL problem: CharacterStringTooLong encountered with {value[:20]}'"
    return ""


class Server:
    """One service for all tests."""

    def __init__(self) -> None:
        self.moto = ThreadedMotoServer(HOST, 0, verbose=False)
        self.moto.start()
        self.endpoint = "http://{}:{}".format(*self.moto.get_host_and_port())
        self.client = boto3.session.Session("others", "others").client(
            "route53", region_name="us-east-1", endpoint_url=self.endpoint
        )
        self.users = 0

    def stop(self) -> None:
        self.moto.stop()

    def create(self, zone: str, **more: Any) -> str:
        """Make a zone and return its id."""
        self.users += 1
        made = self.client.create_hosted_zone(Name=f"{zone}.", CallerReference=str(self.users), **more)
        return str(made["HostedZone"]["Id"]).removeprefix("/hostedzone/")

    def settings(self, **changes: Any) -> Route53:
        self.users += 1
        usual = {"access_key_id": f"user{self.users}", "secret_access_key": Secret("x" * 40), "endpoint": self.endpoint}
        return Route53(**{"name": "aws", **usual, **changes})


class Route53Backend:
    """A zone of the service, and somebody else who edits it too."""

    def __init__(self, server: Server, zone: str) -> None:
        self.server, self.zone = server, zone
        self.id = server.create(zone)

    def provider(self, **changes: Any) -> Route53Provider:
        # moto speaks no DNS, so there is nobody to wait for.
        provider = Route53Provider(self.server.settings(**changes), locate=lambda _: [])
        provider._api._throttle = Throttle(1000.0, 1000)  # the service here has no limit
        return provider

    def found(self, name: str, rrtype: str) -> dict[str, Any] | None:
        page = self.server.client.list_resource_record_sets(
            HostedZoneId=self.id, StartRecordName=f"{name}.", StartRecordType=rrtype, MaxItems="1"
        )
        for written in page["ResourceRecordSets"]:
            if (written["Name"], written["Type"]) == (f"{name}.", rrtype):
                return dict(written)
        return None

    def put(self, name: str, rrtype: str, ttl: int, values: Sequence[Value]) -> None:
        self.put_raw(name, rrtype, ttl, [text_of(value) for value in values])

    def put_raw(self, name: str, rrtype: str, ttl: int, values: Sequence[str]) -> None:
        before = self.found(name, rrtype)
        records = [*(before["ResourceRecords"] if before else ()), *({"Value": value} for value in values)]
        self.change("UPSERT", {"Name": f"{name}.", "Type": rrtype, "TTL": ttl, "ResourceRecords": records})

    def remove(self, name: str, rrtype: str) -> None:
        before = self.found(name, rrtype)
        assert before is not None
        self.change("DELETE", before)

    def change(self, action: str, written: dict[str, Any]) -> None:
        batch = {"Changes": [{"Action": action, "ResourceRecordSet": written}]}
        self.server.client.change_resource_record_sets(HostedZoneId=self.id, ChangeBatch=batch)


def raising(error: Exception) -> Callable[..., Any]:
    """Return a function that raises ``error`` whatever it is called with."""

    def call(**_: Any) -> Any:
        raise error

    return call
