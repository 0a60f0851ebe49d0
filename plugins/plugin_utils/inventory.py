# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Hand the variables of a running play to the model: the only place where Ansible's variables are read."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError

from ..module_utils.model.load import GROUP, HostVariables, Inventory, load
from ..module_utils.model.problems import Collector, InventoryError, Problem
from ..module_utils.model.types import Model

# How commands in messages begin.
PLAYBOOK = "ansible-playbook"
# Facts that actions leave behind; they are not an operator's variables.
FACTS = ("postseal_keys", "postseal_host", "postseal_signing", "postseal_policy_names", "postseal_policy_modes")
# What playbooks/credential.yml read anew after it changed the file that defines the credentials.
CHANGED, CREDENTIALS = "__postseal_changed", "postseal_credentials"


def load_model(task_vars: Mapping[str, Any], templar: Any) -> Model:
    """Return the model of the inventory that ``task_vars`` come from.

    Raises :class:`AnsibleActionFail` whose message lists every problem, one a line.
    """
    try:
        return load(read_inventory(task_vars, templar), datetime.now(tz=UTC).date())
    except InventoryError as error:
        raise AnsibleActionFail(describe(error.problems, task_vars)) from None


def describe(problems: Iterable[Problem], task_vars: Mapping[str, Any] = MappingProxyType({})) -> str:
    """Return the text an operator sees: a count, then one problem a line, with commands for the inventory in use."""
    listed = list(problems)
    count = "one problem" if len(listed) == 1 else f"{len(listed)} problems"
    text = "\n  ".join([f"the inventory has {count}:", *map(str, listed)])
    return text.replace(PLAYBOOK, playbook_command(task_vars))


def playbook_command(task_vars: Mapping[str, Any]) -> str:
    """Return ``ansible-playbook`` with the inventory of this run, as it is to be typed from the same directory.

    Without it a remedy would be carried out on the inventory that ansible.cfg names.
    """
    words = [PLAYBOOK]
    for source in task_vars.get("ansible_inventory_sources") or ():
        relative = os.path.relpath(source) if os.path.isabs(source) else source
        words += ["-i", shlex.quote(source if relative.startswith("..") else relative)]
    return " ".join(words)


def read_inventory(task_vars: Mapping[str, Any], templar: Any) -> Inventory:
    """Collect the raw input of the model.

    Variables are those the first mail host sees, so ``group_vars`` of ``all`` and of the mail hosts both count.
    Raises :class:`InventoryError` for variables whose templates cannot be evaluated.
    """
    names = list(task_vars.get("groups", {}).get(GROUP, ()))
    hostvars = task_vars.get("hostvars", {})
    collector = Collector()
    # Asking for a host's variables computes them all anew: once for each host.
    seen = {name: hostvars[name] for name in names}
    source = seen[names[0]] if names else task_vars
    variables = {
        name: _value(source, name, templar, collector)
        for name in source
        if name.startswith("postseal_") and name not in FACTS and name != "postseal_addresses"
    }
    # Of the host the task is for: with --limit the first one may not have read it.
    changed = task_vars.get(CHANGED, source.get(CHANGED, {}))
    if CREDENTIALS in changed:
        variables[CREDENTIALS] = _value(changed, CREDENTIALS, templar, collector)
    hosts = {
        name: HostVariables(
            ansible_host=_value(seen[name], "ansible_host", templar, collector),
            addresses=_value(seen[name], "postseal_addresses", templar, collector),
        )
        for name in names
    }
    if collector.problems:
        raise InventoryError(collector.problems)
    folder = Path(str(task_vars.get("inventory_dir") or source.get("inventory_dir") or "")).name
    return Inventory(folder, variables, hosts)


def _value(source: Mapping[str, Any], name: str, templar: Any, collector: Collector) -> Any:
    if name not in source:
        return None
    try:
        return _plain(templar.template(source[name]))
    except AnsibleError as error:
        collector.add(name, f"cannot be evaluated: {error}{hint(str(error))}")
        return None


def hint(error: str) -> str:
    """Return what to do about a value that Ansible cannot evaluate, where its ``error`` does not say so itself."""
    undefined = re.search(r"'(\w+)' is undefined", error)
    if undefined and undefined[1].startswith("vault_"):
        return (
            f"; {undefined[1]} belongs into group_vars/all/vault.yml of the inventory: make it from vault.yml.example"
        )
    if undefined:
        return f"; define {undefined[1]} in the inventory"
    return "; the lab makes its secrets when it comes up: script/lab up" if "/postseal-lab/secrets/" in error else ""


def _plain(value: Any) -> Any:
    """Return ``value`` as JSON has it, without Ansible's own types: the model's input also travels through a pipe."""
    if isinstance(value, Mapping):
        return {_plain(key): _plain(element) for key, element in value.items()}
    if isinstance(value, str):
        return str(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, (list, tuple)):
        return [_plain(element) for element in value]
    return value
