# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Which MTA-STS policies are announced: what is served by all, and of that only what the inventory may have meant."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.dns.records import Value
from ansible_collections.postseal.mail.plugins.module_utils.mailauth import mtasts, policyhost
from ansible_collections.postseal.mail.plugins.module_utils.mailauth.policyhost import (
    Fetched,
    NoWayError,
    UnreachableError,
)
from ansible_collections.postseal.mail.plugins.module_utils.mailauth.spf_budget import Unresolvable
from ansible_collections.postseal.mail.plugins.module_utils.model.types import (
    Dns,
    Domain,
    MailHost,
    Model,
    MtaSts,
    Submission,
    Tls,
)
from ansible_collections.postseal.mail.plugins.plugin_utils import announce
from ansible_collections.postseal.mail.plugins.plugin_utils.announce import announcements

DOMAIN = Domain("shop.test", mta_sts=MtaSts(mode="enforce", mx=("mx.example.test",)))
MODEL = Model(
    "unit",
    (MailHost("a.test", ("192.0.2.1",), ("2001:db8::1",)), MailHost("b.test", ("192.0.2.2",), ())),
    Submission(),
    Tls("https://ca.test/dir", None),
    Dns(()),
    (DOMAIN, Domain("other.test", mta_sts=MtaSts("1"))),
    (),
)
ENFORCED, TESTED = mtasts.acceptable(DOMAIN)
Serve = Callable[[dict[str, Fetched | UnreachableError]], list[str]]


def _served(policy: mtasts.Policy) -> Fetched:
    return Fetched(200, "text/plain", policy.text)


def _dns(*ids: str) -> Callable[[str, str], Sequence[Value]]:
    def resolve(name: str, rrtype: str) -> Sequence[Value]:
        assert (name, rrtype) == ("_mta-sts.shop.test", "TXT")
        return [b"v=other", *(f"v=STSv1; id={one}".encode() for one in ids)]

    return resolve


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Serve:
    """Say what addresses serve; all others refuse. Returns the list of those that are asked."""

    def put(answers: dict[str, Fetched | UnreachableError]) -> list[str]:
        asked: list[str] = []

        def fetch(domain: str, address: str, context: ssl.SSLContext) -> Fetched:
            assert domain == "shop.test"
            assert context.verify_mode == ssl.CERT_REQUIRED
            asked.append(address)
            if isinstance(found := answers[address], UnreachableError):
                raise found
            return found

        def knock(address: str) -> UnreachableError | None:
            if isinstance(found := answers.get(address), NoWayError):
                return found
            return None if address in answers else UnreachableError("cannot be reached: timed out")

        monkeypatch.setattr(policyhost, "fetch", fetch)
        monkeypatch.setattr(announce, "_knock", knock)
        return asked

    return put


def _everywhere(found: Fetched | UnreachableError) -> dict[str, Fetched | UnreachableError]:
    return dict.fromkeys(("192.0.2.1", "2001:db8::1", "192.0.2.2"), found)


def test_a_policy_that_is_announced_is_not_fetched_again(serve: Serve) -> None:
    asked = serve(_everywhere(_served(ENFORCED)))
    found = announcements(MODEL, _dns(ENFORCED.id))
    assert (found.ids, found.withheld, asked) == ({"shop.test": ENFORCED.id}, {}, [])


def test_a_policy_that_all_addresses_serve_is_announced(serve: Serve) -> None:
    asked = serve(_everywhere(_served(ENFORCED)))
    # Two records, or the old one, or nobody knows: all the same.
    for ids in ((), ("old",), (ENFORCED.id, "old")):
        assert announcements(MODEL, _dns(*ids)).ids == {"shop.test": ENFORCED.id}
    assert sorted(asked) == sorted(list(_everywhere(_served(ENFORCED))) * 3)


def test_where_nobody_knows_what_is_announced_it_is_fetched(serve: Serve) -> None:
    def silent(name: str, rrtype: str) -> Sequence[Value]:
        raise Unresolvable(f"{name} {rrtype}: SERVFAIL")

    serve(_everywhere(_served(ENFORCED)))
    assert announcements(MODEL, silent).ids == {"shop.test": ENFORCED.id}


def test_what_is_still_tested_is_announced_and_told(serve: Serve) -> None:
    serve(_everywhere(_served(TESTED)))
    found = announcements(MODEL, _dns())
    assert found.ids == {"shop.test": TESTED.id}
    assert "in mode testing, not enforce" in found.withheld["shop.test"]


@pytest.mark.parametrize(
    ("odd", "words"),
    [
        (None, "at 192.0.2.2: cannot be reached: timed out"),
        (UnreachableError("does not answer as HTTPS: alert"), "at 192.0.2.2: does not answer as HTTPS"),
        (Fetched(failure="the certificate is not valid"), "at 192.0.2.2: the certificate is not valid"),
        (Fetched(404, "text/plain", ""), "status 404"),
        (Fetched(200, "text/html", ENFORCED.text), "text/html"),
        (_served(TESTED), "another policy"),
        (_served(mtasts.Policy("enforce", ("mx.example.test",), 1)), "another policy"),
    ],
)
def test_one_address_that_does_not_serve_it_is_enough_to_wait(
    serve: Serve, odd: Fetched | UnreachableError | None, words: str
) -> None:
    answers = _everywhere(_served(ENFORCED))
    if odd is None:
        del answers["192.0.2.2"]
    else:
        answers["192.0.2.2"] = odd
    serve(answers)
    found = announcements(MODEL, _dns("old"))
    assert found.ids == {}
    assert words in found.withheld["shop.test"]


def test_an_address_that_nobody_here_can_reach_does_not_count_beside_another_of_the_host(serve: Serve) -> None:
    nowhere = NoWayError("cannot be reached: Network is unreachable")
    serve(_everywhere(_served(ENFORCED)) | {"2001:db8::1": nowhere})
    assert announcements(MODEL, _dns()).ids == {"shop.test": ENFORCED.id}
    serve(_everywhere(_served(ENFORCED)) | {"192.0.2.2": nowhere})
    assert "192.0.2.2: cannot be reached" in announcements(MODEL, _dns()).withheld["shop.test"]
