# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Route 53 answers that moto does not make, by botocore's own Stubber: errors, waiting, listings that stop."""

from __future__ import annotations

import botocore.exceptions
import pytest
from ansible_collections.postseal.mail.plugins.module_utils.dns.errors import (
    AuthError,
    ConflictError,
    InvalidRecord,
    ProviderError,
    RateLimited,
    Refused,
    TransportError,
    ZoneNotFound,
)
from ansible_collections.postseal.mail.plugins.module_utils.dns.providers.route53 import Route53Provider
from ansible_collections.postseal.mail.plugins.module_utils.dns.snapshot import Snapshot
from ansible_collections.postseal.mail.plugins.module_utils.dns.throttle import Throttle
from ansible_collections.postseal.mail.plugins.module_utils.model.types import Route53, Secret
from botocore.stub import Stubber

from .route53 import raising
from .suite import EVERYTHING, Bench

ZONE = {"Id": "/hostedzone/Z1", "Name": "stub.test.", "CallerReference": "x"}
SETS = {
    "ResourceRecordSets": [
        {"Name": "stub.test.", "Type": rrtype, "TTL": 300, "ResourceRecords": [{"Value": value}]}
        for rrtype, value in (("SOA", "ns1.stub.test. h.stub.test. 1 7200 900 1209600 86400"), ("NS", "ns1.stub.test."))
    ],
    "IsTruncated": False,
    "MaxItems": "300",
}
ZONES = {"HostedZones": [ZONE], "IsTruncated": False, "MaxItems": "100", "Marker": ""}
ACCEPTED = {"ChangeInfo": {"Id": "/change/C1", "Status": "PENDING", "SubmittedAt": "2026-11-22T00:00:00Z"}}


class Stubbed:
    """The provider with a client whose every answer is given beforehand, and a clock that no one waits for."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self.provider = Route53Provider(
            Route53("aws", "key", Secret("very-secret")), locate=lambda _: [], sleep=self.slept.append
        )
        now = [0.0]

        def sleep(seconds: float) -> None:
            self.slept.append(seconds)
            now[0] += seconds

        self.provider._api._throttle = Throttle(5.0, 5, clock=lambda: now[0], sleep=sleep)
        self.stub = Stubber(self.provider._api.client)
        self.stub.add_response("list_hosted_zones", ZONES)
        self.stub.add_response("list_resource_record_sets", SETS)
        self.stub.activate()
        self.bench = Bench(self, self.provider)  # type: ignore[arg-type]

    zone = "stub.test"

    def apply(self) -> None:
        prepared = self.bench.prepare(self.bench.claim("a", "TXT", EVERYTHING, b"x"))
        self.provider.apply(self.zone, prepared.zones[0].batches[0])


@pytest.fixture
def stubbed() -> Stubbed:
    return Stubbed()


@pytest.mark.parametrize(
    ("code", "message", "status", "error"),
    [
        (
            "InvalidChangeBatch",
            "[Tried to create resource record set [name='a.'] but it already exists]",
            400,
            ConflictError,
        ),
        (
            "InvalidChangeBatch",
            "[Invalid Resource Record: 'FATAL problem: InvalidTXTRDATA encountered']",
            400,
            InvalidRecord,
        ),
        ("AccessDenied", "User: arn:aws:iam::1:user/x is not authorized", 403, Refused),
        ("InvalidClientTokenId", "The security token included in the request is invalid", 403, AuthError),
        ("SignatureDoesNotMatch", "The request signature we calculated does not match", 403, AuthError),
        ("ExpiredToken", "The security token included in the request is expired", 403, AuthError),
        ("NoSuchHostedZone", "No hosted zone found with ID: Z1", 404, ZoneNotFound),
        ("InternalError", "An internal error occurred", 500, TransportError),
        ("SomethingNew", "it did not exist when this was written", 400, ProviderError),
    ],
)
def test_what_the_service_says_becomes_an_error_with_a_remedy(
    stubbed: Stubbed, code: str, message: str, status: int, error: type[ProviderError]
) -> None:
    stubbed.stub.add_client_error("change_resource_record_sets", code, message, status)
    with pytest.raises(error) as caught:
        stubbed.apply()
    assert type(caught.value) is error
    assert getattr(caught.value, "maybe_applied", False) == (status >= 500)
    assert "very-secret" not in str(caught.value)
    stubbed.stub.assert_no_pending_responses()


@pytest.mark.parametrize("code", ["Throttling", "ThrottlingException", "PriorRequestNotComplete"])
def test_who_is_asked_to_wait_waits_and_asks_again(stubbed: Stubbed, code: str) -> None:
    for _ in range(3):
        stubbed.stub.add_client_error("change_resource_record_sets", code, "Rate exceeded", 400)
    stubbed.stub.add_response("change_resource_record_sets", ACCEPTED)
    stubbed.apply()
    stubbed.stub.assert_no_pending_responses()
    assert sum(stubbed.slept) >= 7


def test_patience_ends(stubbed: Stubbed) -> None:
    for _ in range(20):
        stubbed.stub.add_client_error("change_resource_record_sets", "Throttling", "Rate exceeded", 400)
    with pytest.raises(RateLimited, match="has no time for us"):
        stubbed.apply()


@pytest.mark.parametrize(
    ("error", "maybe"),
    [
        (botocore.exceptions.ConnectTimeoutError(endpoint_url="https://route53.amazonaws.com"), False),
        (botocore.exceptions.ReadTimeoutError(endpoint_url="https://route53.amazonaws.com"), True),
        (botocore.exceptions.ConnectionClosedError(endpoint_url="https://route53.amazonaws.com"), True),
        (botocore.exceptions.SSLError(endpoint_url="https://route53.amazonaws.com", error="no"), False),
    ],
)
def test_only_a_request_that_was_sent_may_have_been_done(stubbed: Stubbed, error: Exception, *, maybe: bool) -> None:
    stubbed.provider._api.client.change_resource_record_sets = raising(error)
    with pytest.raises(TransportError) as caught:
        stubbed.apply()
    assert caught.value.maybe_applied == maybe


def test_servers_are_looked_at_when_the_change_is_everywhere(stubbed: Stubbed) -> None:
    stubbed.stub.add_response("change_resource_record_sets", ACCEPTED)
    stubbed.apply()
    for status in ("PENDING", "PENDING", "INSYNC"):
        info = {"ChangeInfo": {**ACCEPTED["ChangeInfo"], "Status": status}}
        stubbed.stub.add_response("get_change", info, {"Id": "C1"})
    del stubbed.slept[:]
    blank = Snapshot("stub.test", 0, {}, signed=False)
    assert stubbed.provider.authorities(blank) == []
    assert stubbed.slept.count(2.0) == 2
    stubbed.stub.assert_no_pending_responses()
    assert stubbed.provider.authorities(blank) == []


@pytest.mark.parametrize(("status", "signed"), [("SIGNING", True), ("NOT_SIGNING", False), ("INTERNAL_FAILURE", False)])
def test_signing_is_asked_for_where_it_counts(stubbed: Stubbed, status: str, *, signed: bool) -> None:
    assert stubbed.provider.zone_of("stub.test") == "stub.test"
    stubbed.stub.add_response("get_dnssec", {"Status": {"ServeSignature": status}, "KeySigningKeys": []})
    assert stubbed.provider.fetch("stub.test", {("a.stub.test", "TLSA")}).signed is signed
    stubbed.stub.assert_no_pending_responses()


def test_a_listing_that_does_not_go_on_is_an_error(stubbed: Stubbed) -> None:
    stubbed.provider.zone_of("stub.test")
    half = {**SETS, "IsTruncated": True, "NextRecordName": "b.stub.test.", "NextRecordType": "A"}
    stubbed.stub._queue.clear()
    stubbed.stub.add_response("list_resource_record_sets", half)
    stubbed.stub.add_response("list_resource_record_sets", half)
    with pytest.raises(TransportError, match="does not go on"):
        stubbed.provider.fetch("stub.test", ())
    stubbed.stub.add_response("list_resource_record_sets", half)
    stubbed.stub.add_client_error("list_resource_record_sets", "InternalError", "", 500)
    with pytest.raises(TransportError, match="failed with 500"):
        stubbed.provider.fetch("stub.test", ())
