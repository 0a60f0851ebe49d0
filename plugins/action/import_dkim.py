# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Take over DKIM keys that another signer used. Documentation: plugins/modules/import_dkim.py."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from ansible.errors import AnsibleActionFail

from ..module_utils.dkim.adopt import Adoption, AdoptionError, Found, Published, adopt
from ..module_utils.dkim.states import to_document
from ..module_utils.host import import_keys
from ..module_utils.host.errors import HostError
from ..module_utils.mailauth.dkim import record_name
from ..module_utils.model.keyplan import from_dict
from ..module_utils.model.types import Model
from ..plugin_utils.inventory import load_model
from ..plugin_utils.remote import RemoteAction

SPEC = {
    "path": {"type": "str", "required": True},
    "place": {"type": "str", "choices": ["controller", "host"], "default": "controller"},
    "domain": {"type": "str", "default": ""},
    "selector": {"type": "str", "default": ""},
    "weak": {"type": "bool", "default": False},
    "held": {"type": "list", "elements": "dict", "default": []},
}
LOOKUPS_AT_ONCE = 8


class ActionModule(RemoteAction):
    """Find keys, compare them with the DNS and with what hosts hold, and put them on this host."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Do all of it or nothing; private keys go from disk to disk and into no result."""
        super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(SPEC)
        variables = task_vars or {}
        if not arguments["path"]:
            raise AnsibleActionFail("say where the keys are: -e path=/etc/opendkim, or a file or folder with keys")
        model = load_model(variables, self._templar)
        looked = self._look(model, arguments, variables)
        found = [Found(**key) for key in looked["found"]]
        held = [from_dict(raw) for raw in arguments["held"]]
        now = datetime.now(tz=UTC).replace(microsecond=0)
        try:
            adoption = adopt(model, held, found, _published(model, found), now, weak=arguments["weak"])
        except AdoptionError as error:
            raise AnsibleActionFail("\n  ".join(("nothing was taken over:", *error.problems))) from None
        return self._taken(model, adoption, looked["notes"], arguments, variables)

    def _look(self, model: Model, arguments: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        domains = [domain.name for domain in model.sending_domains]
        asked = {**{name: arguments[name] for name in ("path", "domain", "selector")}, "domains": domains}
        if arguments["place"] == "host":
            return self.call("import_keys.look", asked, variables)
        try:
            return import_keys.look(asked)
        except HostError as error:
            raise AnsibleActionFail(str(error)) from None

    def _taken(
        self,
        model: Model,
        adoption: Adoption,
        notes: list[str],
        arguments: dict[str, Any],
        variables: dict[str, Any],
    ) -> dict[str, Any]:
        mine = {
            (key["domain"], key["selector"])
            for held in arguments["held"]
            if held["host"] == str(variables["inventory_hostname"]).lower()
            for key in held["dkim"]
        }
        taken = [f"{record_name(key.domain, key.selector)}, {key.algorithm} from {key.path}" for key in adoption.keys]
        known = all(adoption.known == from_dict(held).lifecycle for held in arguments["held"])
        changed = not known or any(key.name not in mine for key in adoption.keys)
        result: dict[str, Any] = {"changed": changed, "taken": taken, "notes": [*notes, *adoption.notes]}
        if self._task.diff and changed:
            result["diff"] = {"prepared": "".join(f"+ signs from now on: {one}\n" for one in taken)}
        if not changed or self._task.check_mode:
            return result
        keys = [asdict(key) for key in adoption.keys]
        state = to_document(adoption.known, model.environment)
        if arguments["place"] == "host":
            self.call("import_keys.adopt", {"keys": keys, "state": state}, variables)
        else:
            self.call("keys.receive", {**_private(keys), "state": state}, variables)
        # What this run has learned of the host is not true any more.
        return {**result, "ansible_facts": {"postseal_keys": {}, "postseal_host": {}}}


def _private(keys: list[dict[str, Any]]) -> dict[str, Any]:
    try:
        return import_keys.private({"keys": keys})
    except HostError as error:
        raise AnsibleActionFail(str(error)) from None


def _published(model: Model, found: list[Found]) -> Published:
    """Return what resolvers say at the name of each key."""
    # Asking needs dnspython; where it is missing, the inventory's own checks have said so.
    from ..module_utils.mailauth.lookup import Lookup  # noqa: PLC0415
    from ..module_utils.mailauth.spf_budget import Unresolvable  # noqa: PLC0415

    lookup = Lookup(model.dns.resolvers)

    def ask(key: Found) -> tuple[bytes, ...] | Exception:
        try:
            values = lookup(record_name(key.domain, key.selector), "TXT")
        except Unresolvable as error:
            return error
        return tuple(value for value in values if isinstance(value, bytes))

    with ThreadPoolExecutor(LOOKUPS_AT_ONCE) as pool:
        return dict(zip((key.name for key in found), pool.map(ask, found), strict=True))
