# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Who may write as whom, seen from the address."""

from __future__ import annotations

from ansible_collections.postseal.mail.plugins.module_utils.model.logins import logins_by_sender
from ansible_collections.postseal.mail.plugins.module_utils.model.types import Credential, Secret
from hypothesis import given
from hypothesis import strategies as st

SENDERS = ("@example.com", "@news.example.com", "a@example.com", "b@example.com", "a@news.example.com")


def _credential(name: str, *senders: str) -> Credential:
    return Credential(name=name, domain="example.com", secret_hash=Secret("x"), senders=senders)


def test_an_address_carries_the_logins_of_its_domain() -> None:
    table = logins_by_sender([_credential("shop", "a@example.com"), _credential("all", "@example.com")])
    assert table == [
        ("@example.com", ("all@example.com",)),
        ("a@example.com", ("all@example.com", "shop@example.com")),
    ]


def test_a_subdomain_is_another_domain() -> None:
    table = dict(logins_by_sender([_credential("shop", "a@news.example.com"), _credential("all", "@example.com")]))
    assert table["a@news.example.com"] == ("shop@example.com",)


@given(st.dictionaries(st.sampled_from("abcd"), st.sets(st.sampled_from(SENDERS), min_size=1)))
def test_a_lookup_finds_exactly_the_logins_that_may(written: dict[str, set[str]]) -> None:
    table = dict(logins_by_sender(_credential(name, *sorted(senders)) for name, senders in written.items()))
    for address in ("a@example.com", "b@example.com", "c@example.com", "a@news.example.com"):
        domain = address[address.index("@") :]
        found = table.get(address, table.get(domain, ()))  # as Postfix looks it up
        may = {f"{name}@example.com" for name, senders in written.items() if senders & {address, domain}}
        assert set(found) == may
