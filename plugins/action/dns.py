# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Publish every record of the environment, from the controller. Documentation: plugins/modules/dns.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import quote

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ..module_utils.dkim.lifecycle import Sight
from ..module_utils.dkim.states import UNDER_WAY, text, united
from ..module_utils.dns.errors import DnsError
from ..module_utils.dns.limits import Limits
from ..module_utils.dns.prepare import Options, Preparation, prepare, prepare_restore
from ..module_utils.dns.providers import factory
from ..module_utils.dns.providers.base import Provider
from ..module_utils.dns.records import Key, Value
from ..module_utils.dns.store import Store
from ..module_utils.mailauth.claims import desired
from ..module_utils.mailauth.dkim import record_name
from ..module_utils.mailauth.lint import rules
from ..module_utils.mailauth.slots import slot_of
from ..module_utils.mailauth.spf_budget import Resolve
from ..module_utils.model.keyplan import from_dict
from ..module_utils.model.load import GROUP
from ..module_utils.model.rules import zone_provider
from ..module_utils.model.types import Model
from ..plugin_utils.announce import Announcements, announcements
from ..plugin_utils.inventory import load_model, playbook_command

SPEC = {
    "keys": {"type": "list", "elements": "dict", "default": []},
    "wait": {"type": "float", "default": 60.0},
    "plan": {"type": "str", "default": ""},
    "plan_out": {"type": "str", "default": ""},
    "rollback": {"type": "str", "default": ""},
    "store": {"type": "str", "default": ""},
    "keep": {"type": "int", "default": 50},
    "apart": {"type": "bool", "default": False},
}


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible ships no type information
    """Model and keys to claims, claims to a plan, and outside check mode the plan into the zones."""

    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Do it; fails with cause and remedy, after having told what was written where."""
        super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(SPEC)
        model = load_model(task_vars or {}, self._templar)
        try:
            store = Store(_folder(arguments["store"], task_vars or {}, model))
            policies = _policies(model, arguments)
            preparation = _prepared(model, arguments, store, policies.ids)
            # Speaking to name servers needs dnspython, whose absence the provider has told by now.
            from ..module_utils.dns.flow import Request, carry_out  # noqa: PLC0415

            asked = {name: arguments[name] for name in ("plan", "plan_out", "wait", "keep")}
            request = Request(model.environment, _limits(model), self._task.check_mode, **asked)
            result = carry_out(request, preparation, store, _teller())
            told = [f"not announced: {why}" for why in policies.withheld.values()]
            # A run that changes nothing has nothing more to see at its end; one that carries out an approved plan, or
            # goes back, must not go on to another.
            alone = self._task.check_mode or request.plan_out or request.plan or arguments["rollback"]
            due = [] if alone else list(policies.withheld)
            result |= {"notes": [*result["notes"], *told], "unannounced": due}
            if not (self._task.check_mode or request.plan_out or arguments["rollback"]):
                result["dkim"] = _under_way(model, arguments["keys"], preparation)
        except DnsError as error:
            return _outcome({"failed": True, "msg": str(error)}, apart=arguments["apart"])
        if not self._task.diff:
            del result["diff"]
        result["command"] = f"{playbook_command(task_vars or {})} playbooks/dns.yml"
        return _outcome(result, apart=arguments["apart"])


def _limits(model: Model) -> Limits:
    return Limits(**asdict(model.dns.limits))


def _policies(model: Model, arguments: dict[str, Any]) -> Announcements:
    """Return which MTA-STS policies may be announced; the way back announces none that was not before."""
    if arguments["rollback"] or not model.policy_domains:
        return Announcements({}, {})
    return announcements(model, _asking(model))


def _prepared(model: Model, arguments: dict[str, Any], store: Store, policies: Mapping[str, str]) -> Preparation:
    """Return the plans for what the inventory wants, or for the way back to what an earlier run found."""
    router = _Router(model)
    seen = store.owned()
    if arguments["rollback"]:
        _, saved = store.load(arguments["rollback"])
        options = Options(slot_of=slot_of, lint=rules(model, _asking(model)), last_owned=seen)
        return prepare_restore(saved, router.named, model.environment, _limits(model), options=options)
    wanted = desired(model, [from_dict(held) for held in arguments["keys"]], policies)
    # A run that goes on past zones that fail has other ways to say what it lacks.
    pending = [replace(item, remedy="") for item in wanted.pending] if arguments["apart"] else wanted.pending
    zones = {zone for zone, owned in seen.items() if owned}
    zones |= {zone for zone, _ in model.dns.zones} if model.dns.prune else set()
    lint = rules(model, _asking(model))
    options = Options(model.dns.prune, tuple(sorted(zones)), slot_of, lint, seen, wanted.ended, arguments["apart"])
    return prepare(wanted.claims, pending, router, model.environment, _limits(model), options=options)


def _outcome(result: dict[str, Any], *, apart: bool) -> dict[str, Any]:
    """Return ``result``; where zones are apart a failure is told as ``problems``, and the play says when it counts."""
    if not apart:
        return result
    failed, told = result.pop("failed", False), result.pop("msg", "")
    return {"changed": False, "notes": [], "findings": [], "dkim": [], **result, "problems": [told] if failed else []}


def _under_way(model: Model, keys: list[dict[str, Any]], preparation: Preparation) -> list[dict[str, Any]]:
    """Return what every authoritative server answers for the DKIM keys that do not sign yet."""
    held = [from_dict(one) for one in keys]
    known = united(one.lifecycle for one in held)
    waiting = {(record_name(*key.name), "TXT"): key for key in known.keys if key.state in UNDER_WAY}
    if not waiting:
        return []
    from ..module_utils.dns.sight import look  # noqa: PLC0415  # it needs dnspython

    found, at = [], datetime.now(tz=UTC)
    for item in preparation.zones:
        wanted: dict[Key, Value | None] = {c.key: c.value for c in item.job.claims if c.key in waiting}
        servers = item.job.provider.authorities(item.snapshot) if wanted else ()
        for seen in look(item.job.zone, servers, wanted):
            key = waiting.pop(seen.key)
            stale = max(seen.stale, model.dns.ttl)
            found.append(Sight(key.domain, key.selector, at, seen.exact, stale, seen.detail))
    unseen = "its zone could not be read or written"
    found += [Sight(key.domain, key.selector, at, False, 0, unseen) for key in waiting.values()]
    return [{**asdict(one), "at": text(one.at)} for one in found]


def _asking(model: Model) -> Resolve:
    """Return what asks the resolvers of the inventory; the rules need it once there are records to judge."""

    @cache
    def lookup() -> Resolve:
        # Resolving needs dnspython, whose absence the provider has told by then.
        from ..module_utils.mailauth.lookup import Lookup  # noqa: PLC0415

        return Lookup(model.dns.resolvers)

    def resolve(name: str, rrtype: str) -> Sequence[Value]:
        return lookup()(name, rrtype)

    return resolve


def _folder(stated: str, task_vars: dict[str, Any], model: Model) -> Path:
    """Return where the controller keeps what it knows about the environment's DNS: beside the inventory."""
    if stated:
        return Path(stated).expanduser()
    hosts = task_vars.get("groups", {}).get(GROUP, ())
    seen_by_host = task_vars["hostvars"][hosts[0]].get("inventory_dir") if hosts else None
    beside = task_vars.get("inventory_dir") or seen_by_host or "."
    return Path(str(beside)) / ".postseal" / quote(model.environment, safe="") / "dns"


class _Router:
    """Makes each provider once, when the first of its names asks: several threads do."""

    def __init__(self, model: Model) -> None:
        self.model, self.lock = model, Lock()
        self.made: dict[str, Provider] = {}

    def __call__(self, name: str) -> Provider | None:
        found = zone_provider(self.model, name)
        return None if found is None else self.named(found)

    def named(self, name: str) -> Provider:
        """Return the provider called ``name``; raises :class:`DnsError` where the inventory has none."""
        with self.lock:
            if name not in self.made:
                try:
                    settings = self.model.dns.provider(name)
                except KeyError:
                    hint = "Put it back, or change the zones by hand"
                    raise DnsError(f"postseal_dns.providers has no {name} any more", hint) from None
                self.made[name] = factory.build(settings, self.model.dns.resolvers)
            return self.made[name]


def _teller() -> Any:
    """Return what prints a line of progress, one at a time: zones report from threads of their own."""
    lock, display = Lock(), Display()

    def tell(line: str) -> None:
        with lock:
            display.display(line)

    return tell
