# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What the API refuses, and with which credential: each refusal has a cause and a remedy, and tells no secret."""

from __future__ import annotations

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.dns.errors import (
    AuthError,
    ConflictError,
    DnsError,
    InvalidRecord,
    Refused,
    TransportError,
    ZoneNotFound,
)
from ansible_collections.postseal.mail.plugins.module_utils.dns.providers import cloudflare_api

from ..suite import EVERYTHING, Bench
from .backend import Cloudflare
from .server import (
    Token,
    failing,
)


@pytest.fixture
def _poor_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CLOUDFLARE_API_TOKEN", "CLOUDFLARE_EMAIL", "CLOUDFLARE_API_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("_poor_environment")
class TestCredentials:
    def test_none(self, cloudflare: Cloudflare) -> None:
        with pytest.raises(AuthError, match=r"postseal_dns\.providers\.cf\.api_token .*CLOUDFLARE_API_TOKEN"):
            cloudflare.provider(api_token=None)

    def test_from_the_environment(self, cloudflare: Cloudflare, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CLOUDFLARE_API_TOKEN", cloudflare.token)
        assert cloudflare.provider(api_token=None).zone_of(cloudflare.zone) == cloudflare.zone

    def test_no_other_credential_of_the_environment_is_sent(
        self, cloudflare: Cloudflare, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The library would send these in place of the token."""
        monkeypatch.setenv("CLOUDFLARE_EMAIL", "someone@example.net")
        monkeypatch.setenv("CLOUDFLARE_API_KEY", "0" * 37)
        monkeypatch.setenv("CLOUDFLARE_BASE_URL", "http://127.0.0.1:1/")
        assert cloudflare.provider().zone_of(cloudflare.zone) == cloudflare.zone

    def test_an_unknown_token(self, cloudflare: Cloudflare) -> None:
        del cloudflare.fake.tokens[cloudflare.token]
        with pytest.raises(AuthError, match="Invalid access token") as caught:
            cloudflare.provider().zone_of(cloudflare.zone)
        assert cloudflare.token not in str(caught.value)
        assert "postseal_dns.providers.cf.api_token" in str(caught.value)

    def test_a_token_that_may_only_read(self, cloudflare: Cloudflare) -> None:
        cloudflare.fake.tokens[cloudflare.token] = Token(writing=False)
        bench = Bench(cloudflare, cloudflare.provider())
        report = bench.publish(bench.claim("a", "TXT", EVERYTHING, b"x"))
        assert (report.state, report.written) == ("failed", False)
        assert "DNS Write" in report.error
        assert cloudflare.zone in report.error
        assert cloudflare.token not in report.error

    def test_a_token_for_other_zones(self, cloudflare: Cloudflare) -> None:
        cloudflare.fake.tokens[cloudflare.token] = Token(zones=frozenset())
        with pytest.raises(ZoneNotFound, match="Zone Read"):
            cloudflare.provider().zone_of(cloudflare.zone)

    def test_a_token_that_may_not_list_zones(self, cloudflare: Cloudflare) -> None:
        cloudflare.fake.tokens[cloudflare.token] = Token(listing=False)
        with pytest.raises(ZoneNotFound, match="zone_ids"):
            cloudflare.provider().zone_of(cloudflare.zone)


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (400, 6003, AuthError),
        (401, 0, AuthError),
        (403, 10001, Refused),
        (404, 7003, ZoneNotFound),
        (400, 81058, ConflictError),
        (400, 81057, ConflictError),
        (404, 81044, ConflictError),
        (400, 81053, ConflictError),
        (400, 1004, InvalidRecord),
        (400, 9005, InvalidRecord),
        (400, 9015, InvalidRecord),
        (400, 83011, InvalidRecord),
        (503, 0, TransportError),
    ],
)
def test_what_a_refusal_means(cloudflare: Cloudflare, status: int, code: int, expected: type[DnsError]) -> None:
    bench = Bench(cloudflare, cloudflare.provider())
    batch = bench.prepare(bench.claim("a", "TXT", EVERYTHING, b"x")).zones[0].batches[0]
    cloudflare.fake.fail(1, failing(status, code, "the words of the API"))
    with pytest.raises(expected, match="the words of the API"):
        bench.provider.apply(bench.zone, batch)


def test_the_record_that_is_refused_is_named(cloudflare: Cloudflare) -> None:
    bench = Bench(cloudflare, cloudflare.provider(fresh=300.0))
    claims = [bench.claim(label, "TXT", EVERYTHING, b"x") for label in ("a", "b")]
    batch = bench.prepare(*claims).zones[0].batches[0]
    cloudflare.put(bench.at("b"), "TXT", 300, [b"x"])
    with pytest.raises(ConflictError, match=rf"81058.*b\.{bench.zone} TXT"):
        bench.provider.apply(bench.zone, batch)
    assert bench.values("a") == set()


def test_an_old_chain_of_errors_is_read_to_its_cause(cloudflare: Cloudflare) -> None:
    """Until October 2024 the cause was wrapped (cloudflare/cloudflare-docs#15317)."""
    body = {"success": False, "errors": [{"code": 1004, "error_chain": [{"code": 9005, "message": "not an address"}]}]}
    assert cloudflare_api._told(body) == [(9005, "not an address", "")]
