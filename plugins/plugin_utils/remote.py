# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Run a function of ``module_utils/host`` on a mail host, in one round trip, with its arguments on standard input.

An ordinary module call costs about 200 ms on the target, three quarters of it unpacking and importing the module; the
same work sent as a script to ``python3 -`` costs about 30 ms. Standard input also keeps the arguments out of the
process list and, unlike a module's arguments, out of the target's journal.
"""

from __future__ import annotations

import re
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

from .program import host_sources, parse, script

# Every task runs in a fork of its own: what is packed here is packed once, not once a task and host.
host_sources()


class RemoteAction(ActionBase):  # type: ignore[misc]  # Ansible ships no type information
    """An action that works by calling host functions over standard input."""

    _supports_check_mode = True
    _supports_async = False

    def call(self, function: str, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Run ``module.function`` of ``module_utils/host`` on the task's host and return the object it returned.

        Raises :class:`AnsibleActionFail` with the host's own message (a ``HostError``'s ``msg`` and ``details``), or
        with the cause when the host could not run it at all.
        """
        python = self._templar.template(task_vars.get("ansible_python_interpreter")) or "/usr/bin/python3"
        if not re.fullmatch(r"/[\w./+-]+", str(python)):
            python = "/usr/bin/python3"
        answer = self._low_level_execute_command(
            # -I and -S: nothing of the host's own site-packages or environment is read, which also starts faster.
            f"{python} -IS -",
            in_data=script(function, arguments).encode(),
            sudoable=True,
        )
        try:
            result = parse(answer.get("stdout", ""), answer.get("stderr", ""), answer.get("rc", -1))
        except ValueError as problem:
            if answer.get("unreachable"):
                raise AnsibleConnectionFailure(str(answer.get("msg"))) from problem
            raise AnsibleActionFail(
                f"{function} did not run on {task_vars.get('inventory_hostname')}: {problem}. The host needs {python} "
                "(3.9 or later) and an account that may become root."
            ) from problem
        if result.pop("failed", False):
            raise AnsibleActionFail(result.pop("msg"), result=result)
        return result
