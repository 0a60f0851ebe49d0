# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Speak with the API of Amazon Route 53 through boto3, every failure explained with its remedy.

Sources: https://docs.aws.amazon.com/Route53/latest/APIReference/ for operations and error codes,
https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DNSLimitations.html for limits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NoReturn

import boto3.session
import botocore.config
import botocore.exceptions as aws

from ...model.providers import Route53 as Settings
from ..errors import (
    AuthError,
    ConflictError,
    InvalidRecord,
    ProviderError,
    RateLimited,
    Refused,
    TransportError,
    ZoneNotFound,
)
from ..throttle import shared

# Five requests a second for each account, whoever makes them (DNSLimitations.html, "Quotas on API requests").
_RATE, _BURST = 5.0, 5
_CONNECT_TIMEOUT, _READ_TIMEOUT = 5, 30
# What ChangeResourceRecordSets says of a set that is no longer what the request says; it then did nothing.
_STALE = ("already exists", "was not found", "do not match the current values", "conflicts with other records")
_BUSY = frozenset({"Throttling", "ThrottlingException", "PriorRequestNotComplete", "RequestLimitExceeded"})
_KEY = frozenset(
    {
        "InvalidClientTokenId",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
        "IncompleteSignature",
        "MissingAuthenticationToken",
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidSignatureException",
    }
)
_RIGHTS = frozenset({"AccessDenied", "AccessDeniedException"})
_SERVER_ERROR = 500


class Api:
    """The API with one credential. Safe to use from several threads."""

    def __init__(self, settings: Settings) -> None:
        self.name = settings.name
        self.variable = f"postseal_dns.providers.{settings.name}"
        secret = settings.secret_access_key
        with self._explained(""):
            session = boto3.session.Session(settings.access_key_id, secret.reveal() if secret else None)
            self.client = session.client(
                "route53",
                region_name="us-east-1",  # Route 53 has no regions, signatures have one
                endpoint_url=settings.endpoint,
                config=botocore.config.Config(
                    connect_timeout=_CONNECT_TIMEOUT,
                    read_timeout=_READ_TIMEOUT,
                    # A request that was sent twice may have been done twice; what was not done is seen by reading.
                    retries={"total_max_attempts": 1, "mode": "standard"},
                ),
            )
        self._throttle = shared(f"route53 {settings.endpoint} {settings.access_key_id}", _RATE, _BURST)

    def public_zones(self) -> Iterator[tuple[str, str]]:
        """Yield name (with trailing dot) and id of every public zone."""
        more: dict[str, Any] = {}
        while True:
            page = self._call("", partial(self.client.list_hosted_zones, **more))
            for zone in page["HostedZones"]:
                if not zone.get("Config", {}).get("PrivateZone"):
                    yield zone["Name"], zone["Id"].removeprefix("/hostedzone/")
            if not page["IsTruncated"]:
                return
            more = {"Marker": page["NextMarker"]}

    def record_sets(self, zone: str, zone_id: str) -> list[dict[str, Any]]:
        """Return every record set of a zone as the API has it."""
        found: list[dict[str, Any]] = []
        more: dict[str, Any] = {}
        while True:
            page = self._call(zone, partial(self.client.list_resource_record_sets, HostedZoneId=zone_id, **more))
            found += page["ResourceRecordSets"]
            if not page["IsTruncated"]:
                return found
            following = {"StartRecordName": page["NextRecordName"], "StartRecordType": page["NextRecordType"]}
            if "NextRecordIdentifier" in page:
                following["StartRecordIdentifier"] = page["NextRecordIdentifier"]
            if following == more:
                raise TransportError(self.name, zone, "the listing of records does not go on where it says")
            more = following

    def signed(self, zone: str, zone_id: str) -> bool:
        """Tell whether the zone is signed with DNSSEC."""
        answer = self._call(zone, lambda: self.client.get_dnssec(HostedZoneId=zone_id))
        return bool(answer["Status"]["ServeSignature"] == "SIGNING")

    def change(self, zone: str, zone_id: str, changes: Sequence[dict[str, Any]]) -> str:
        """Make changes, all or none, and return the id by which :meth:`done` knows them."""
        batch = {"Changes": list(changes)}
        answer = self._call(
            zone,
            lambda: self.client.change_resource_record_sets(HostedZoneId=zone_id, ChangeBatch=batch),
            maybe_applied=True,
        )
        return str(answer["ChangeInfo"]["Id"]).removeprefix("/change/")

    def done(self, zone: str, change: str) -> bool:
        """Tell whether a change has reached all name servers of Route 53."""
        return bool(self._call(zone, lambda: self.client.get_change(Id=change))["ChangeInfo"]["Status"] == "INSYNC")

    def _call(self, zone: str, request: Callable[[], Any], *, maybe_applied: bool = False) -> Any:
        def explained() -> Any:
            with self._explained(zone, maybe_applied=maybe_applied):
                return request()

        return self._throttle.run(explained)

    @contextmanager
    def _explained(self, zone: str, *, maybe_applied: bool = False) -> Iterator[None]:
        """Turn what botocore raises into errors with a remedy. None of its texts holds the secret key."""
        try:
            yield
        except aws.ClientError as error:
            self._refused(zone, error, maybe_applied=maybe_applied)
        except (aws.NoCredentialsError, aws.PartialCredentialsError, aws.ProfileNotFound) as error:
            hint = f"Set {self.variable}.access_key_id and .secret_access_key, or AWS_* on the controller"
            raise AuthError(self.name, zone, f"no credentials for AWS: {error}", hint) from None
        except (aws.EndpointConnectionError, aws.ConnectTimeoutError, aws.SSLError, aws.ProxyConnectionError) as error:
            raise TransportError(self.name, zone, f"cannot talk to Route 53: {error}", self._network()) from None
        except (aws.BotoCoreError, ValueError, KeyError) as error:
            message = f"no usable answer of Route 53: {type(error).__name__}: {error}"
            raise TransportError(self.name, zone, message, self._network(), maybe_applied=maybe_applied) from None

    def _network(self) -> str:
        return f"Check the controller's network and {self.variable}.endpoint"

    def _refused(self, zone: str, error: aws.ClientError, *, maybe_applied: bool) -> NoReturn:
        code = str(error.response.get("Error", {}).get("Code", ""))
        said = " ".join(str(error.response.get("Error", {}).get("Message", "")).split()).strip("[]")
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        if code in _BUSY:
            hint = "Others use the same AWS account; run dns.yml again later"
            raise RateLimited(self.name, zone, f"Route 53 has no time for us ({code})", hint) from None
        if code == "InvalidChangeBatch" and any(phrase in said for phrase in _STALE):
            raise ConflictError(
                self.name, zone, f"the zone changed while we looked at it: {said}", "Run dns.yml again"
            ) from None
        if code in ("InvalidChangeBatch", "InvalidInput", "InvalidDomainName"):
            raise InvalidRecord(self.name, zone, f"Route 53 refuses it: {said}", "Nothing of it was written") from None
        if code == "NoSuchHostedZone":
            hint = f"Correct {self.variable}.zone_ids, or create the zone"
            raise ZoneNotFound(self.name, zone, f"Route 53 does not have it: {said}", hint) from None
        if code in _RIGHTS:
            hint = "Give its user or role the rights that docs/dns-route53.md lists"
            raise Refused(self.name, zone, f"the key may not do this: {said}", hint) from None
        if code in _KEY:
            hint = f"Correct {self.variable}.access_key_id and .secret_access_key, or AWS_* on the controller"
            raise AuthError(self.name, zone, f"AWS does not accept the key ({code})", hint) from None
        if status >= _SERVER_ERROR:
            message = f"Route 53 failed with {status} {code}"
            raise TransportError(self.name, zone, message, "Try again later", maybe_applied=maybe_applied) from None
        raise ProviderError(self.name, zone, f"Route 53 answers {status} {code}: {said}") from None
