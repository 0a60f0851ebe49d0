# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Tell where every DKIM key is in its life. Documentation: plugins/modules/dkim_status.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ..module_utils.dkim.states import PRESENT, REVOKED, united
from ..module_utils.dns.errors import DnsError
from ..module_utils.dns.records import Key, Value
from ..module_utils.mailauth.claims import key_record
from ..module_utils.mailauth.dkim import REVOKED as REVOKED_RECORD
from ..module_utils.mailauth.dkim import record_name
from ..module_utils.model.keyplan import from_dict
from ..module_utils.model.keys import HostKeys
from ..module_utils.model.types import Model
from ..plugin_utils.dkim_view import by_domain, views
from ..plugin_utils.inventory import load_model

if TYPE_CHECKING:
    from ..module_utils.dns.sight import Seen

SPEC = {"keys": {"type": "list", "elements": "dict", "default": []}, "file": {"type": "str", "default": ""}}


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible ships no type information
    """Ask the zones' servers, put it beside what the hosts say, and change nothing."""

    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the status as data and as text; a zone that cannot be asked is told, not a failure."""
        super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(SPEC)
        model = load_model(task_vars or {}, self._templar)
        held = [from_dict(one) for one in arguments["keys"]]
        # Asking name servers needs dnspython, a requirement of the project but not of Ansible.
        from ..module_utils.dns.watchers import look_up  # noqa: PLC0415

        problems: list[str] = []
        seen: dict[str, Seen] = {}
        for domain, wanted in _records(model, held).items():
            try:
                seen |= {one.key[0]: one for one in look_up(domain, wanted, model.dns.resolvers)}
            except DnsError as error:
                problems.append(f"{domain}: {error}")
        found = views(model, held, seen)
        silent = sorted({host.name for host in model.hosts} - {keys.host for keys in held})
        problems += [f"{host} could not be asked" for host in silent]
        told = {"keys": [view.as_dict() for view in found], "problems": problems}
        if arguments["file"]:
            path = Path(arguments["file"]).expanduser()
            try:
                path.write_text(json.dumps(told, indent=2) + "\n", "utf-8")
            except OSError as error:
                raise AnsibleActionFail(f"file: {path}: {error.strerror}; name one in a folder that is there") from None
        return {"changed": False, **told, "msg": by_domain(found)}


def _records(model: Model, held: list[HostKeys]) -> dict[str, dict[Key, Value | None]]:
    """Return by domain what the servers should answer for each key that is not gone."""
    known = united(keys.lifecycle for keys in held)
    public = {
        (key.domain, key.selector): key_record(key, known.find(key.domain, key.selector))
        for keys in held
        for key in keys.dkim
    }
    return {
        domain.name: {
            (record_name(*key.name), "TXT"): REVOKED_RECORD if key.state == REVOKED else public.get(key.name)
            for key in known.of(domain.name, *PRESENT, REVOKED)
        }
        for domain in model.sending_domains
    }
