# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Judge a zone as it will be by the rules of mail (:mod:`.rules`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from ..dns.findings import Finding, Lint
from ..dns.records import Key, RRset, Value
from ..model.types import Model
from . import lint_names, lint_spf, lint_text, mtasts
from .claims import desired_claims
from .rules import Resolve, View


def rules(model: Model, resolve: Resolve) -> Lint:
    """Return what judges zones of ``model``, for :class:`..dns.prepare.Options`.

    :param resolve: asks the DNS for what is in no plan; may be called from several threads
    """

    wanted: dict[Key, list[Value]] = {}
    for claim in desired_claims(model, ()):
        wanted.setdefault(claim.key, []).append(claim.value)

    def lint(zone: str, rrsets: Mapping[Key, RRset], ours: frozenset[Key]) -> Iterable[Finding]:
        return list(judge(View(model, zone, rrsets, ours, resolve, wanted)))

    return lint


def judge(view: View) -> Iterator[Finding]:
    """Yield every finding about the sets in ``view.ours`` that exist."""
    services = {name for host in view.model.hosts for name in view.model.service_names(host)}
    services |= {mtasts.policy_host(domain.name) for domain in view.model.policy_domains}
    for key in sorted(view.ours & view.rrsets.keys()):
        yield from lint_names.check_sizes(view, key)
        yield from _of_type(view, key)
    senders = {name for domain in view.model.sending_domains for name in domain.names}
    for name in sorted(senders & {name for name, rrtype in view.ours & view.rrsets.keys() if rrtype == "TXT"}):
        yield from lint_names.check_sender(view, name)
    for name in sorted(services & {name for name, rrtype in view.ours if rrtype in ("A", "AAAA")}):
        yield from lint_names.check_certificates(view, name)


def _of_type(view: View, key: Key) -> Iterator[Finding]:
    name, rrtype = key
    if rrtype == "TXT":
        yield from _text(view, key)
    elif rrtype == "CNAME":
        yield from lint_names.check_cname(view, key)
        if "._domainkey." in name:
            yield from lint_text.check_delegate(view, key)
    elif rrtype == "MX":
        yield from lint_names.check_mx(view, key)
    elif rrtype == "SRV":
        yield from lint_names.check_srv(view, key)


def _text(view: View, key: Key) -> Iterator[Finding]:
    name = key[0]
    if "._domainkey." in name:
        yield from lint_text.check_dkim(view, key)
    elif "._report._dmarc." in name:
        return
    elif name.startswith("_dmarc."):
        yield from lint_text.check_dmarc(view, key)
    elif name.startswith("_smtp._tls."):
        yield from lint_text.check_tlsrpt(view, key)
    elif name.startswith("_mta-sts."):
        yield from lint_text.check_sts(view, key)
    else:
        yield from lint_spf.check(view, key)
