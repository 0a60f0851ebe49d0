# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Read which domains send, and what is published of them: ``postseal_domains``."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from . import values
from .domains import covers
from .problems import Collector, Invalid, Section, elements
from .types import Dkim, Dmarc, Domain, MtaSts, Mx, Spf

ALGORITHMS = ("rsa2048", "rsa3072", "rsa4096", "ed25519")
_POLICY_ID = re.compile(r"[A-Za-z0-9]{1,32}")
POLICIES = ("none", "quarantine", "reject")
_DOMAIN_KEYS = ("name", "spf", "dkim", "dmarc", "mx", "parked", "tls_rpt", "mta_sts", "adopt", "subdomains", "bounce")
_SPF_KEYS = ("include", "all", "merge")
_DKIM_KEYS = ("algorithms", "delegate", "rotate_every", "prepublish", "grace", "revoke")
REVOKE = ("empty_p", "remove")
_DMARC_KEYS = ("policy", "subdomain_policy", "nonexistent_policy", "testing", "rua", "alignment")
_STS_KEYS = ("mode", "max_age", "mx", "id", "host")
STS_MODES = ("testing", "enforce", "none")
# RFC 8461 3.2 has a year as the most, and 8.3 a day as little.
_STS_AGES = (86400, 31557600)
# What still makes sense for a domain without mail.
_PARKED_KEYS = ("name", "parked", "dmarc", "adopt")


def read_domains(variables: Section) -> tuple[Domain, ...]:
    """Return the sending domains that are valid; the others are noted."""
    found = [
        domain
        for path, value in elements(variables.values.get("postseal_domains"), "postseal_domains", variables.collector)
        if (domain := _domain(value, path, variables.collector)) is not None
    ]
    if not variables.has("postseal_domains"):
        variables.collector.add("postseal_domains", "is missing; name the domains that send, like - name: example.com")
    return tuple(found)


def _domain(value: Any, path: str, collector: Collector) -> Domain | None:
    said = Section(value, path, collector, _DOMAIN_KEYS)
    name = said.require("name", values.domain_name, "give the domain, like example.com")
    adopt = said.get("adopt", values.boolean, Domain.adopt)
    if said.get("parked", values.boolean, Domain.parked):
        domain = _parked(name or "", said, adopt)
    else:
        spf = said.section("spf", _SPF_KEYS)
        mx = tuple(mx for at, element in said.items("mx") if (mx := _mx(element, at, collector)) is not None)
        domain = Domain(
            name=name or "",
            spf=Spf(
                include=spf.each("include", values.record_name),
                all=spf.get("all", values.choice(("fail", "softfail")), Spf.all),
                merge=spf.get("merge", values.boolean, Spf.merge),
            ),
            dkim=_dkim(said),
            dmarc=_dmarc(said.section("dmarc", _DMARC_KEYS)),
            mx=mx,
            tls_rpt=_tls_rpt(said),
            mta_sts=_mta_sts(said.section("mta_sts", _STS_KEYS), mx) if said.has("mta_sts") else None,
            adopt=adopt,
            subdomains=said.each("subdomains", _below(name)) if name else (),
            bounce=said.get("bounce", values.mail_address, None),
        )
    return domain if name else None


def _below(domain: str) -> Callable[[Any], str]:
    """Return a parser of names relative to ``domain`` that returns full names."""

    def parse(value: Any) -> str:
        written = values.text(value)
        if f".{written.lower()}".endswith(f".{domain}"):
            raise Invalid(f"must be relative to {domain}; write news for news.{domain}")
        return values.domain_name(f"{written}.{domain}")

    return parse


def _parked(name: str, said: Section, adopt: bool) -> Domain:
    """Return a domain that nobody may send as (M3AAWG, Protecting Parked Domains); only reports can be asked for."""
    for key in said.values:
        if key in _DOMAIN_KEYS and key not in _PARKED_KEYS and said.has(key):
            said.collector.add(said.at(key), "has no meaning for a parked domain; remove it, or remove parked")
    dmarc = said.section("dmarc", ("rua",))
    policy = Dmarc(policy="reject", rua=dmarc.each("rua", values.mail_uri), alignment="strict")
    return Domain(name, Spf(merge=False), Dkim(algorithms=()), policy, parked=True, adopt=adopt)


def _dkim(domain: Section) -> Dkim:
    said = domain.section("dkim", _DKIM_KEYS)
    algorithms = said.each("algorithms", values.choice(ALGORITHMS))
    if said.has("algorithms") and not algorithms:
        said.collector.add(said.at("algorithms"), f"must name at least one of {', '.join(ALGORITHMS)}")
    delegate: dict[str, str] = {}
    section = said.mapping("delegate")
    for written, target in section.values.items():
        path = section.at(str(written))
        selector = said.collector.parse(path, written, values.selector)
        parsed = said.collector.parse(path, target, values.record_name)
        if selector is not None and parsed is not None:
            delegate[selector] = parsed
    return Dkim(
        algorithms=algorithms or Dkim.algorithms,
        delegate=tuple(sorted(delegate.items())),
        rotate_every=said.get("rotate_every", values.duration_or_never, Dkim.rotate_every),
        prepublish=said.get("prepublish", values.duration, Dkim.prepublish),
        grace=said.get("grace", values.duration, Dkim.grace),
        revoke=said.get("revoke", values.choice(REVOKE), Dkim.revoke),
    )


def _dmarc(said: Section) -> Dmarc:
    policy = values.choice(POLICIES)
    return Dmarc(
        policy=said.get("policy", policy, Dmarc.policy),
        subdomain_policy=said.get("subdomain_policy", policy, None),
        rua=said.each("rua", values.mail_uri),
        alignment=said.get("alignment", values.choice(("relaxed", "strict")), Dmarc.alignment),
        nonexistent_policy=said.get("nonexistent_policy", policy, None),
        testing=said.get("testing", values.boolean, Dmarc.testing),
    )


def _tls_rpt(domain: Section) -> tuple[str, ...]:
    uris = domain.each("tls_rpt", values.report_uri)
    if domain.has("tls_rpt") and not uris:
        domain.collector.add(domain.at("tls_rpt"), "must not be empty; leave the key out to have no reports")
    return uris


def _mta_sts(said: Section, mx: tuple[Mx, ...]) -> MtaSts | None:
    """Return the policy that the mail hosts serve, or with ``id`` the announcement of one that somebody else serves."""
    if said.has("id") or said.has("host"):
        for key in ("mode", "max_age", "mx"):
            if said.has(key):
                fix = "has no meaning beside id and host, which are for a policy that somebody else serves; remove one"
                said.collector.add(said.at(key), fix, said.values[key])
        policy = said.require("id", _policy_id, "give the policy an id that changes with it, like the day")
        host = said.get("host", values.domain_name, None)
        return None if policy is None else MtaSts(policy, host)
    mode = said.get("mode", values.choice(STS_MODES), MtaSts.mode)
    patterns = said.each("mx", _pattern)
    if mode != "none" and not patterns and not mx and not said.values.get("mx"):
        fix = (
            "is missing; list the hosts that receive mail for the domain, as mx of the domain, or here if its MX "
            "records are not this inventory's to publish"
        )
        said.collector.add(said.at("mx"), fix)
    for one in mx if patterns else ():
        if not any(covers(pattern, one.host) for pattern in patterns):
            said.collector.add(
                said.at("mx"), f"leaves out {one.host}, which is the domain's mx; add it", list(patterns)
            )
    max_age = said.get("max_age", values.duration, MtaSts.max_age)
    if not _STS_AGES[0] <= max_age <= _STS_AGES[1]:
        said.collector.add(said.at("max_age"), "must be from 1d to 365d; weeks are usual", said.values["max_age"])
    return MtaSts(None, None, mode, max_age, patterns or tuple(dict.fromkeys(one.host for one in mx)))


def _pattern(value: Any) -> str:
    """A host, or ``*.`` and what is after its first label (RFC 8461 4.1)."""
    written = values.text(value)
    below = values.domain_name(written.removeprefix("*."))
    return f"*.{below}" if written.startswith("*.") else below


def _policy_id(value: Any) -> str:
    """RFC 8461 3.1: ``sts-id`` is 1 to 32 letters and digits; a day without quotes is a number to YAML."""
    written = str(value) if isinstance(value, int) and not isinstance(value, bool) else values.text(value)
    if not _POLICY_ID.fullmatch(written):
        raise Invalid("must be 1 to 32 letters and digits, like 20261121T080000")
    return written


def _mx(value: Any, path: str, collector: Collector) -> Mx | None:
    said = Section(value, path, collector, ("host", "preference"))
    host = said.require("host", values.domain_name, "give the host that receives mail for this domain")
    preference = said.get("preference", values.integer(0, 65535), Mx.preference)
    return None if host is None else Mx(host, preference)
