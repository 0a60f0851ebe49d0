# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Print the hand-over of an inventory (see :mod:`plugins.plugin_utils.handover`) to standard output.

A program of its own, because Ansible's Python API takes over the import of collections and half a second. Usage:
``python resolve.py [--vault-password-file FILE] [INVENTORY...]``; without an inventory, ansible.cfg's. The answer holds
secrets: standard output must be a pipe.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from ansible import constants
from ansible.cli import CLI
from ansible.errors import AnsibleError
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar
from ansible.vars.hostvars import HostVars
from ansible.vars.manager import VariableManager


def resolve(sources: list[str], vault_password_files: list[str]) -> dict[str, Any]:
    """Return the hand-over of the inventory ``sources``, vaulted values in plain; raises what Ansible raises."""
    init_plugin_loader()
    from ansible_collections.postseal.mail.plugins.plugin_utils.handover import handover  # noqa: PLC0415

    loader = DataLoader()
    loader.set_vault_secrets(
        CLI.setup_vault_secrets(
            loader,
            constants.DEFAULT_VAULT_IDENTITY_LIST,
            vault_password_files=[*vault_password_files, *filter(None, [constants.DEFAULT_VAULT_PASSWORD_FILE])],
            auto_prompt=False,
        )
    )
    inventory = InventoryManager(loader, sources=sources or constants.DEFAULT_HOST_LIST)
    manager = VariableManager(loader=loader, inventory=inventory)
    hostvars = HostVars(inventory, variable_manager=manager, loader=loader)
    variables: dict[str, Any] = dict(manager.get_vars())
    first = next(iter(inventory.get_hosts()), None)
    variables |= {
        "groups": inventory.get_groups_dict(),
        "hostvars": hostvars,
        "ansible_inventory_sources": sources,
        "inventory_dir": manager.get_vars(host=first).get("inventory_dir") if first else None,
    }
    return handover(variables, Templar(loader=loader, variables=variables))


def main() -> int:
    """Entry point: 0 and a JSON object, or 1 and the reason on standard error."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vault-password-file", action="append", default=[])
    parser.add_argument("inventory", nargs="*")
    arguments = parser.parse_args()
    if sys.stdout.isatty():
        print("resolve.py prints secrets: its output must be a pipe", file=sys.stderr)
        return 1
    try:
        print(json.dumps(resolve(arguments.inventory, arguments.vault_password_file)))
    except (AnsibleError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
