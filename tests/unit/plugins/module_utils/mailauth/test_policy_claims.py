# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The records of MTA-STS policies that the mail hosts serve."""

from __future__ import annotations

from dataclasses import replace

from ansible_collections.postseal.mail.plugins.module_utils.mailauth.claims import desired
from ansible_collections.postseal.mail.plugins.module_utils.model.types import Caa, Domain, MtaSts

from .test_claims import KEYS, MODEL, published


def test_every_host_has_the_name_of_a_policy_and_only_what_is_served_is_announced() -> None:
    domain = Domain("shop.test", mta_sts=MtaSts(mx=("mx.example.test",)))
    model = replace(MODEL, domains=(domain,), tls=replace(MODEL.tls, caa=Caa("ca.test", methods=())))
    found = published(model)
    for rrtype, addresses in (
        ("A", [a for h in MODEL.hosts for a in h.ipv4]),
        ("AAAA", [a for h in MODEL.hosts for a in h.ipv6]),
    ):
        assert found["mta-sts.shop.test", rrtype] == set(addresses)
    # CAA cannot stand beside an alias, and that of the domain need not let our authority certify.
    assert found["mta-sts.shop.test", "CAA"] == {'0 issue "ca.test"'}
    assert ("mta-sts.shop.test", "CNAME") not in found
    assert ("_mta-sts.shop.test", "TXT") not in found
    (waiting,) = [item for item in desired(model, KEYS).pending if item.slot == "sts"]
    assert (waiting.name, waiting.type, waiting.remedy) == ("_mta-sts.shop.test", "TXT", "")
    announced = desired(model, KEYS, {"shop.test": "a" * 32})
    assert not [item for item in announced.pending if item.slot == "sts"]
    assert b"v=STSv1; id=" + b"a" * 32 in {claim.value for claim in announced.claims}
