# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""One run of the DNS engine, in a process of its own: ``python -m bench.dns_run URL DOMAINS``; prints JSON.

Without a wait for name servers, of which the fake has none, and without the pause that the API's quota asks for: what
is measured is the engine. The token is in BENCH_TOKEN.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from typing import NoReturn

from ansible_collections.postseal.mail.plugins.module_utils.dns.authority import WaitPolicy
from ansible_collections.postseal.mail.plugins.module_utils.dns.execute import Policy, execute
from ansible_collections.postseal.mail.plugins.module_utils.dns.limits import Limits
from ansible_collections.postseal.mail.plugins.module_utils.dns.prepare import Options, Preparation, prepare
from ansible_collections.postseal.mail.plugins.module_utils.dns.providers import cloudflare_api
from ansible_collections.postseal.mail.plugins.module_utils.dns.providers.cloudflare import CloudflareProvider
from ansible_collections.postseal.mail.plugins.module_utils.dns.snapshot import Snapshot
from ansible_collections.postseal.mail.plugins.module_utils.mailauth.lint import rules
from ansible_collections.postseal.mail.plugins.module_utils.mailauth.slots import slot_of
from ansible_collections.postseal.mail.plugins.module_utils.model.types import Cloudflare, Secret

from .dns_domains import claims, environment

LIMITS = Limits(10**6, 100)


class _Remembering:
    """A provider that answers from what it has seen, so that planning can be timed without any I/O."""

    def __init__(self, provider: CloudflareProvider, preparation: Preparation) -> None:
        self.name, self.caps, self.render = provider.name, provider.caps, provider.render
        self.apply, self.authorities = provider.apply, provider.authorities
        self._seen = {item.job.zone: item.snapshot for item in preparation.zones}
        self.zone_of = provider.zone_of

    def fetch(self, zone: str, _: object) -> Snapshot:
        """Return the zone as it was."""
        return self._seen[zone]


def _nowhere(*_: object) -> NoReturn:
    raise AssertionError("these domains authorise addresses only, so there is nothing to look up")


def main(url: str, count: int) -> dict[str, float | str]:
    """Publish ``count`` domains at ``url`` and return how that went."""
    cloudflare_api.RATE, cloudflare_api.BURST = 1e6, 10**6
    settings = Cloudflare("cloudflare", Secret(os.environ["BENCH_TOKEN"]), api_url=url)
    provider = CloudflareProvider(settings, locate=lambda _: ())
    model, _ = environment(count)
    options = Options(slot_of=slot_of, lint=rules(model, _nowhere))
    preparation = prepare(claims(count), (), lambda _: provider, "bench", LIMITS, options=options)
    reports = execute(preparation, Policy(WaitPolicy(), LIMITS, lambda _: None))
    errors = [report.error for report in reports if report.error]
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    began = time.monotonic()
    remembering = _Remembering(provider, preparation)
    prepare(claims(count), (), lambda _: remembering, "bench", LIMITS, options=options)
    states = " ".join(sorted({report.state for report in reports}))
    return {"planning": time.monotonic() - began, "memory": memory, "states": states, "error": "".join(errors[:1])}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]))))
