# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Render a service's files and hand them to the host as one transaction. Documentation: plugins/modules/apply.py."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.template import trust_as_template

from ..module_utils.dkim.signing import signing_keys
from ..module_utils.dkim.states import text
from ..module_utils.mailauth.mtasts import policy_host, policy_of
from ..module_utils.model.keyplan import from_dict
from ..module_utils.model.served import SERVED, served
from ..module_utils.model.types import Model
from ..plugin_utils.inventory import load_model
from ..plugin_utils.remote import RUN, RemoteAction
from ..plugin_utils.smoke import default_smoke

FIREWALL, CONTAINMENT, SIGNER = "postseal-firewall", "postseal-containment", "rspamd"
RESOLVER, POLICIES, POLICY_SERVER = "unbound", "postfix-mta-sts-resolver", "nginx"
WARM_UP = "postseal-warm-up"
SERVICES = [
    *("postfix", "dovecot", SIGNER, "redis-server", RESOLVER, POLICIES, POLICY_SERVER),
    *(FIREWALL, CONTAINMENT, WARM_UP, "postseal-log"),
]
PROTOCOLS = ["smtp", "sasl", "milter", "redis", "firewall", "ready", "log", "dns", "socketmap", "https"]
MANAGED = "Managed by Postseal: change the inventory and run the playbook again, not this file."

PLACED = {
    "owner": {"type": "str", "default": "root"},
    "group": {"type": "str", "default": "root"},
    "mode": {"type": "str"},
}
SPEC = {
    "service": {"type": "str", "required": True, "choices": SERVICES},
    "withdraw": {"type": "bool", "default": False},
    "files": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "src": {"type": "str"},
            "dest": {"type": "path", "required": True},
            **PLACED,
            "secret": {"type": "bool", "default": False},
            "map": {"type": "str", "choices": ["lmdb", "hash", "btree"]},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
        "required_if": [("state", "present", ("src",))],
    },
    "directories": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {"path": {"type": "path", "required": True}, **PLACED},
    },
    "watch": {"type": "list", "elements": "path", "default": []},
    "smoke": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "protocol": {"type": "str", "choices": PROTOCOLS, "default": "smtp"},
            "port": {"type": "int"},
            "address": {"type": "str", "default": "127.0.0.1"},
            "socket": {"type": "path"},
            "tls": {"type": "str", "choices": ["none", "starttls", "wrapped"], "default": "none"},
            "name": {"type": "str"},
            "certificate": {"type": "path"},
            "login": {"type": "str"},
            "sender": {"type": "str"},
            "recipient": {"type": "str"},
        },
        "required_one_of": [("port", "socket")],
        "mutually_exclusive": [("port", "socket")],
    },
}


class ActionModule(RemoteAction):
    """Render on the controller, then one call to the host, which does and can undo everything else."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the transaction's result; raises :class:`AnsibleActionFail` with the reason and what was undone."""
        super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(SPEC)
        variables = dict(task_vars or {})
        self.check_role(variables)
        # The roles' variables that the templates use ask for it too.
        variables["postseal_host"] = self.learn(variables)
        known = self._known(variables)
        if not wanted_here(arguments["service"], known):
            if arguments["service"] == FIREWALL and variables["postseal_host"]["firewall"]:
                return self.call("firewall.remove", {"check": bool(self._task.check_mode)}, variables)
            if arguments["withdraw"] and (
                arguments["service"] != POLICY_SERVER or variables["postseal_host"]["policies"]
            ):
                return self._withdraw(arguments, variables)
            return {"changed": False, "skipped": True, "skip_reason": "The inventory does not ask for it on this host."}
        if arguments["service"] == POLICY_SERVER:
            arguments["watch"] += [
                f"/etc/letsencrypt/live/{policy_host(one['domain'])}/fullchain.pem" for one in known["policies"]
            ]
        files = [self._file(entry, variables, known) for entry in arguments["files"]]
        request = {
            "service": arguments["service"],
            "files": files,
            "directories": arguments["directories"],
            "watch": arguments["watch"],
            "smoke": arguments["smoke"] or default_smoke(arguments["service"], known, arguments["watch"]),
        }
        how: dict[str, Any] = {"check_mode": bool(self._task.check_mode), "diff": bool(self._task.diff)}
        try:
            made_of = served(known["model"]) if arguments["service"] in SERVED else ""
            result = self.settle(arguments["service"], "transaction.apply", request, variables, made_of=made_of, **how)
        except AnsibleActionFail as problem:
            raise self._explained(problem, request, variables) from problem
        if result["changed"]:
            self._come_back(request, variables)
        if arguments["service"] == SIGNER and not self._task.check_mode:
            result.setdefault("ansible_facts", {})["postseal_signing"] = _signs(known)
        return result

    def _explained(
        self, problem: AnsibleActionFail, request: Mapping[str, Any], variables: dict[str, Any]
    ) -> AnsibleActionFail:
        """Return ``problem`` with the change that failed; a connection that is lost as well must not hide it."""
        text = described(problem.result.pop("diff", []))
        try:
            self._come_back(request, variables)
        except AnsibleError as lost:
            text += f"\nNo new connection came through either, so the host takes its firewall down: {lost.message}"
        return AnsibleActionFail(f"{problem.message}{text}", result=problem.result)

    def _withdraw(self, arguments: Mapping[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        """Have the host take away what an earlier run installed."""
        gone = [{"dest": entry["dest"], "state": "absent"} for entry in arguments["files"]]
        how: dict[str, Any] = {"check_mode": bool(self._task.check_mode), "diff": bool(self._task.diff)}
        request = {"service": arguments["service"], "files": gone}
        return self.settle(arguments["service"], "withdraw.withdraw", request, variables, **how)

    def _come_back(self, request: Mapping[str, Any], variables: dict[str, Any]) -> None:
        """Show by a new connection that a changed firewall lets the controller in; else the host takes it down."""
        if request["service"] == FIREWALL and not self._task.check_mode:
            self._connection.reset()
            self.call("firewall.keep", {}, variables)

    def _known(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        """Return what templates may use besides the play's variables: the model, this host, and its public keys."""
        model = load_model(variables, self._templar)
        known: dict[str, Any] = {"model": model, "this": model.host(str(variables["inventory_hostname"]).lower())}
        known["policies"] = _policies(model, variables)
        fact = variables.get("postseal_keys")
        if isinstance(fact, Mapping):
            known["keys"] = from_dict({name: fact[name] for name in ("host", "dkim", "tls", "state")})
            known["signing"] = signing_keys(known["keys"])
        return known

    def _file(self, entry: dict[str, Any], variables: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
        src, dest = entry.pop("src", None), entry["dest"]
        if entry["state"] == "absent":
            return entry
        try:
            source = self._find_needle("templates", src)
            content = self._render(source, dest, variables, known)
        except AnsibleError as problem:
            raise AnsibleActionFail(f"{src} cannot be rendered for {dest}: {problem.message}") from problem
        return {**entry, "content": content}

    def _render(self, source: str, dest: str, variables: Mapping[str, Any], known: Mapping[str, Any]) -> str:
        """Return the text of the template at ``source``, which ends with a line feed unless it is empty."""
        roots = [*variables.get("ansible_search_path", ()), self._loader.get_basedir()]
        search = [path for root in roots for path in (os.path.join(root, "templates"), root)]
        available = {
            "ansible_managed": MANAGED,
            **variables,
            **known,
            "template_path": source,
            "template_destpath": dest,
        }
        templar = self._templar.copy_with_new_env(
            searchpath=[*search, os.path.dirname(source)], available_variables=available
        )
        text = templar.template(
            trust_as_template(self._loader.get_text_file_contents(source)),
            escape_backslashes=False,
            overrides={"trim_blocks": True, "lstrip_blocks": False},
        )
        # A template that is one expression comes back as that expression's type.
        plain = "" if text is None else str(text)
        return plain if not plain or plain.endswith("\n") else f"{plain}\n"


def _policies(model: Model, variables: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return domain and text of each MTA-STS policy that the host has a certificate for, in the mode that it is served
    in (M(postseal.mail.policies)).
    """
    held, modes = variables.get("postseal_policy_names", ()), variables.get("postseal_policy_modes", {})
    return [
        {"domain": domain.name, "text": policy_of(domain, modes[domain.name]).text}
        for domain in model.policy_domains
        if policy_host(domain.name) in held and domain.name in modes
    ]


def _signs(known: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fact that tells which keys the host signs with from now on; only then may those before it retire."""
    return {
        "host": known["this"].name,
        "run": RUN,
        "at": text(datetime.now(tz=UTC)),
        "keys": [[key.domain, key.selector] for key in known.get("signing", ())],
    }


def wanted_here(service: str, known: Mapping[str, Any]) -> bool:
    """Say whether the model asks for ``service`` on this host: one counts for all, others are optional."""
    model, this = known["model"], known["this"].name
    store, warm_up = model.limits.store, model.pace.warm_up
    asked = {
        FIREWALL: model.firewall.enabled,
        CONTAINMENT: model.containment.enabled,
        WARM_UP: warm_up is not None and warm_up.concerns(this),
        RESOLVER: model.resolves,
        POLICIES: model.obeys_mta_sts,
        POLICY_SERVER: bool(model.policy_domains),
        "redis-server": store is not None and store.host == this,
    }
    return bool(asked.get(service, True))


def described(entries: Iterable[Mapping[str, str]]) -> str:
    """Return ``entries`` (Ansible's diffs) as text for the message of a failed task, which shows no diff by itself."""
    lines: list[str] = []
    for entry in entries:
        if "prepared" in entry:
            lines.append(entry["prepared"].rstrip("\n"))
            continue
        before, after = (entry[side].splitlines() for side in ("before", "after"))
        lines += difflib.unified_diff(
            before, after, f"{entry['before_header']} (live)", f"{entry['after_header']} (refused)", lineterm=""
        )
    return "\n" + "\n".join(lines) if lines else ""
