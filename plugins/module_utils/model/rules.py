# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Rules between values that are each valid alone: duplicates, references, combinations that cannot work."""

from __future__ import annotations

from collections.abc import Iterable

from .problems import Collector
from .types import Model

_SHARED = "postseal_submission.shared_senders"


def check(model: Model, collector: Collector) -> None:
    """Note every rule that ``model`` breaks."""
    _unique("postseal_domains", "name", (domain.name for domain in model.domains), collector)
    _unique("group postseal_submission", "address", _addresses(model), collector)
    _subdomains(model, collector)
    _bounces(model, collector)
    _senders(model, collector)
    _overlaps(model, collector)
    _parked(model, collector)
    _receiving(model, collector)
    _grace(model, collector)
    _names(model, collector)
    _probe(model, collector)


def zone_provider(model: Model, name: str) -> str | None:
    """Return the provider of ``name``: the longest listed zone wins; a single provider without zones has all."""
    if not model.dns.zones:
        return model.dns.providers[0].name if len(model.dns.providers) == 1 else None
    matches = [(zone, provider) for zone, provider in model.dns.zones if name == zone or name.endswith("." + zone)]
    return max(matches, key=lambda match: len(match[0]))[1] if matches else None


def _addresses(model: Model) -> Iterable[str]:
    return (address for host in model.hosts for address in host.addresses)


def _unique(where: str, what: str, found: Iterable[str], collector: Collector) -> None:
    seen: set[str] = set()
    for value in found:
        if value in seen:
            collector.add(where, f"has the {what} twice; remove one", value)
        seen.add(value)


def _subdomains(model: Model, collector: Collector) -> None:
    """A subdomain is one domain's, and its signatures carry the name of that domain."""
    own = {domain.name for domain in model.domains}
    for index, domain in enumerate(model.domains):
        path = f"postseal_domains[{index}].subdomains"
        for name in domain.subdomains:
            if name in own:
                collector.add(path, "is one of postseal_domains too, with keys of its own; remove one of the two", name)
        if domain.subdomains and domain.dmarc.alignment == "strict":
            # RFC 9989: strict alignment wants the signing domain to be the one of From, letter by letter.
            fix = (
                f"would be signed as {domain.name}, which dmarc.alignment strict does not count as aligned; make it "
                "relaxed, or give each subdomain an entry of its own in postseal_domains"
            )
            collector.add(path, fix, ", ".join(domain.subdomains))


def _bounces(model: Model, collector: Collector) -> None:
    """SPF passes for the domain of the envelope sender, and counts for DMARC if that belongs to the one in From."""
    for index, domain in enumerate(model.domains):
        if domain.bounce and domain.bounce.rpartition("@")[2] not in domain.names:
            fix = f"must be an address at {' or '.join(domain.names)}, or SPF would pass for a stranger's name"
            collector.add(f"postseal_domains[{index}].bounce", fix, domain.bounce)


def _senders(model: Model, collector: Collector) -> None:
    domains = {domain.name for domain in model.domains}
    signed = {name for domain in model.domains for name in domain.names}
    for index, credential in enumerate(model.credentials):
        path = f"postseal_credentials[{index}]"
        if credential.domain not in domains:
            collector.add(f"{path}.domain", "is not one of postseal_domains; add it there", credential.domain)
        for position, sender in enumerate(credential.senders):
            domain = sender.rpartition("@")[2]
            if domain not in signed and domain != credential.domain:
                fix = f"is outside postseal_domains, so nothing could sign it; add {domain} there"
                collector.add(f"{path}.senders[{position}]", fix, sender)


def _overlaps(model: Model, collector: Collector) -> None:
    """Each login, password and sender is one credential's, except for senders that are shared on purpose."""
    logins: dict[str, str] = {}
    passwords: dict[str, str] = {}
    owners: dict[str, str] = {}
    shared = set(model.submission.shared_senders)
    for index, credential in enumerate(model.credentials):
        path = f"postseal_credentials[{index}]"
        if credential.login in logins:
            collector.add(
                f"{path}.name", f"is the login of {logins[credential.login]} too; remove one", credential.login
            )
            continue
        logins[credential.login] = path
        for key, found in (("secret_hash", credential.secret_hash), ("previous_hash", credential.previous_hash)):
            if found is not None and passwords.setdefault(found.reveal(), path) != path:
                fix = f"is the password of {passwords[found.reveal()]} too; issue each its own"
                collector.add(f"{path}.{key}", fix)
        for sender in () if credential.revoked else credential.senders:
            owners.setdefault(sender, credential.login)
    for index, credential in enumerate(model.credentials):
        for sender in () if credential.revoked else credential.senders:
            domain = sender[sender.rfind("@") :]
            for wider in dict.fromkeys((sender, domain)):
                owner = owners.get(wider, credential.login)
                if owner != credential.login and not shared & {sender, wider}:
                    fix = f"may be used by {owner} too; leave it to one of them, or list it in {_SHARED}"
                    collector.add(f"postseal_credentials[{index}].senders", fix, sender)


def _parked(model: Model, collector: Collector) -> None:
    """Nobody may send as a parked domain, so nothing that sends may be named after it."""
    if model.domains and not model.sending_domains:
        collector.add("postseal_domains", "names no domain that sends; all are parked")
    hosts = {host.name for host in model.hosts}
    senders = {sender.rpartition("@")[2]: sender for item in model.credentials for sender in item.senders}
    for domain in model.domains:
        if not domain.parked:
            continue
        path = f"postseal_domains ({domain.name})"
        if domain.name in hosts:
            collector.add(
                path, "is parked and the name of a mail host, which sends; remove parked or name the host anew"
            )
        logins = [item.name for item in model.credentials if item.domain == domain.name]
        if logins or domain.name in senders:
            who = f"credential {logins[0]}" if logins else f"sender {senders[domain.name]}"
            collector.add(path, f"is parked, and {who} would send as it; remove one of the two")


def _receiving(model: Model, collector: Collector) -> None:
    """Mail for a domain goes to hosts that take it, and mail hosts take none from outside: 25 is closed."""
    ours = {name for host in model.hosts for name in model.service_names(host)}
    for name in sorted(ours) if model.policy_domains else ():
        if name.startswith("mta-sts."):
            fix = (
                "is a name for MTA-STS policies (RFC 8461 3.2), which have certificates of their own; take another one"
            )
            collector.add("group postseal_submission", fix, name)
    for index, domain in enumerate(model.domains):
        policy = domain.mta_sts.mx if domain.mta_sts else ()
        named = [(f"mx[{at}].host", mx.host) for at, mx in enumerate(domain.mx)]
        named += [("mta_sts.mx", name) for name in policy if name not in {mx.host for mx in domain.mx}]
        for key, host in named:
            if host in ours:
                fix = "takes no mail from other servers, only from applications; name the server that receives mail"
                collector.add(f"postseal_domains[{index}].{key}", fix, host)


def _grace(model: Model, collector: Collector) -> None:
    """Mail that was signed with a key may be in the queue, and its record in caches, long after the last signature."""
    needed = model.submission.queue_lifetime + model.dns.ttl
    for index, domain in enumerate(model.domains):
        if not domain.parked and domain.dkim.grace <= needed:
            fix = (
                f"must be longer than mail waits in the queue (postseal_submission.queue_lifetime) and records "
                f"in caches (postseal_dns.ttl), together {needed}s"
            )
            collector.add(f"postseal_domains[{index}].dkim.grace", fix, f"{domain.dkim.grace}s")


def _names(model: Model, collector: Collector) -> None:
    if len(model.dns.providers) > 1 and not model.dns.zones:
        names = ", ".join(provider.name for provider in model.dns.providers)
        collector.add("postseal_dns.zones", f"is missing; with several providers ({names}) say which zone is where")
        return
    for domain in model.domains:
        if zone_provider(model, domain.name) is None:
            collector.add("postseal_dns.zones", f"covers no zone of {domain.name}; add the zone and its provider")


def _probe(model: Model, collector: Collector) -> None:
    if model.probe is None:
        return
    path, name = "postseal_probe.credential", model.probe.credential
    found = [credential for credential in model.credentials if name in (credential.name, credential.login)]
    if not found:
        collector.add(path, "is not one of postseal_credentials", name)
    elif len(found) > 1:
        collector.add(path, f"is the name of several; say which: {', '.join(item.login for item in found)}", name)
