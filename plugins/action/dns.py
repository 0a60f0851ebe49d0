# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Publish every record of the environment, from the controller. Documentation: plugins/modules/dns.py."""

from __future__ import annotations

from dataclasses import asdict
from threading import Lock
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ..module_utils.dns.errors import DnsError
from ..module_utils.dns.limits import Limits
from ..module_utils.dns.prepare import Preparation, prepare
from ..module_utils.dns.providers import factory
from ..module_utils.dns.providers.base import Provider
from ..module_utils.dns.zonetext import before_and_after
from ..module_utils.mailauth.claims import desired
from ..module_utils.model.keyplan import from_dict
from ..module_utils.model.rules import zone_provider
from ..module_utils.model.types import Model
from ..plugin_utils.inventory import load_model

SPEC = {
    "keys": {"type": "list", "elements": "dict", "required": True},
    "wait": {"type": "float", "default": 60.0},
    "plan": {"type": "str"},
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
        limits = Limits(**asdict(model.dns.limits))
        result: dict[str, Any] = {}
        try:
            wanted = desired(model, [from_dict(held) for held in arguments["keys"]])
            preparation = prepare(wanted.claims, wanted.pending, _Router(model), model.environment, limits)
            result = self._announced(preparation)
            preparation.check(arguments["plan"])
            if not self._task.check_mode:
                preparation.complete()
            result["zones"] = self._zones(preparation, limits, arguments)
        except DnsError as error:
            return {**result, "failed": True, "msg": str(error)}
        result["changed"] = any(zone["written"] or zone["state"] == "planned" for zone in result["zones"])
        failures = [zone["error"] for zone in result["zones"] if zone["error"]]
        if failures:
            result.update(failed=True, msg="\n".join(failures))
        return result

    def _announced(self, preparation: Preparation) -> dict[str, Any]:
        result: dict[str, Any] = {"plan": preparation.fingerprint, "notes": list(preparation.notes)}
        if self._task.diff:
            result["diff"] = [
                {"before": before, "after": after, "before_header": f"zone {zone}", "after_header": f"zone {zone}"}
                for zone, (before, after) in (
                    (item.job.zone, before_and_after(item.plan)) for item in preparation.zones if not item.plan.empty
                )
            ]
        return result

    def _zones(self, preparation: Preparation, limits: Limits, arguments: dict[str, Any]) -> list[dict[str, Any]]:
        # Speaking to name servers needs dnspython, whose absence the provider has told by now.
        from ..module_utils.dns.authority import WaitPolicy  # noqa: PLC0415
        from ..module_utils.dns.execute import Policy, execute, foresee  # noqa: PLC0415

        if self._task.check_mode:
            reports = foresee(preparation)
        else:
            policy = Policy(WaitPolicy(arguments["wait"]), limits, _teller(), replan=arguments["plan"] is None)
            reports = execute(preparation, policy)
        return [{**asdict(report), "servers": [str(server) for server in report.servers]} for report in reports]


class _Router:
    """Makes each provider once, when the first of its names asks: several threads do."""

    def __init__(self, model: Model) -> None:
        self.model, self.lock = model, Lock()
        self.made: dict[str, Provider] = {}

    def __call__(self, name: str) -> Provider | None:
        found = zone_provider(self.model, name)
        if found is None:
            return None
        with self.lock:
            if found not in self.made:
                self.made[found] = factory.build(self.model.dns.provider(found), self.model.dns.resolvers)
            return self.made[found]


def _teller() -> Any:
    """Return what prints a line of progress, one at a time: zones report from threads of their own."""
    lock, display = Lock(), Display()

    def tell(line: str) -> None:
        with lock:
            display.display(line)

    return tell
