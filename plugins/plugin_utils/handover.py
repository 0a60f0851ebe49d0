# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What the verification needs of an inventory, as one JSON object: the model's input, and how to reach each host.

The verification runs under pytest and does not import Ansible; whoever has Ansible's variables (a play, or the small
program behind ``pytest --ansible-inventory``) hands them over in this form. It holds secrets: it may travel through a
pipe, never through a file, an argument or the environment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ansible import constants
from ansible.plugins.loader import connection_loader

from ..module_utils.model.load import GROUP
from .inventory import playbook_command, read_inventory

# Options of the ssh connection plugin, resolved as Ansible does: variables, then environment, then ansible.cfg.
OPTIONS = ("port", "remote_user", "private_key_file", "ssh_common_args", "ssh_extra_args", "host_key_checking")
PYTHON = "/usr/bin/python3"


def handover(task_vars: Mapping[str, Any], templar: Any) -> dict[str, Any]:
    """Return ``{"inventory": ..., "connections": {host: ...}, "command": ...}``: input of the model, how to reach each
    host, and how commands in remedies begin.

    ``task_vars`` must hold ``groups`` and ``hostvars``. Raises :class:`InventoryError` for variables that cannot be
    evaluated; whether they make sense is the model's business.
    """
    inventory = read_inventory(task_vars, templar)
    hostvars = task_vars.get("hostvars", {})
    names = task_vars.get("groups", {}).get(GROUP, ())
    return {
        "inventory": {**asdict(inventory), "variables": dict(inventory.variables)},
        "connections": {str(name): _connection(name, hostvars[name], templar) for name in names},
        "command": playbook_command(task_vars),
    }


def _connection(name: str, variables: Mapping[str, Any], templar: Any) -> dict[str, Any]:
    """Return the fields of ``Connection`` in tests/verify/proof/hosts.py for one host."""
    connection_loader.get("ssh", class_only=True)  # makes the plugin's options known to the configuration
    known = {key: templar.template(variables[key]) for key in variables if key.startswith("ansible_")}
    option = {
        key: constants.config.get_config_value(key, plugin_type="connection", plugin_name="ssh", variables=known)
        for key in OPTIONS
    }
    checking = [] if option["host_key_checking"] else ["-o StrictHostKeyChecking=no"]
    options = [*checking, option["ssh_common_args"], option["ssh_extra_args"]]
    python = str(known.get("ansible_python_interpreter", ""))
    return {
        "plugin": str(known.get("ansible_connection", "ssh")),
        "address": str(known.get("ansible_host", name)),
        "port": int(option["port"] or 22),
        "user": str(option["remote_user"]) if option["remote_user"] else None,
        "key": str(option["private_key_file"]) if option["private_key_file"] else None,
        "options": " ".join(str(part) for part in options if part),
        "python": python if python.startswith("/") else PYTHON,
    }
