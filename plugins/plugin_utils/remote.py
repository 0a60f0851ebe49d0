# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Run a function of ``module_utils/host`` on a mail host, in one round trip, with its arguments on standard input.

An ordinary module call costs about 200 ms on the target, three quarters of it unpacking and importing the module; the
same work sent as a script to ``python3 -`` costs about 30 ms. Standard input also keeps the arguments out of the
process list and, unlike a module's arguments, out of the target's journal.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
from collections.abc import Iterable, Mapping
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase

from .program import host_sources, parse, script

# Every task runs in a fork of its own: what is packed here is packed once, not once a task and host.
host_sources()
# For the same reason all tasks of one run have the same RUN, and a fact that a cache kept of another run has not.
RUN = secrets.token_hex(8)
# Packages whose version the templates ask for.
VERSIONED = ("dovecot-core", "postfix")


class RemoteAction(ActionBase):  # type: ignore[misc]  # Ansible ships no type information
    """An action that works by calling host functions over standard input."""

    _supports_check_mode = True
    _supports_async = False

    def check_role(self, task_vars: dict[str, Any]) -> None:
        """Check the variables of the task's role against its ``argument_specs``, as Ansible does by a task of its own.

        Raises :class:`AnsibleActionFail` that names role and variables.
        """
        folder = task_vars.get("role_path")
        if not folder:
            return
        specified = self._loader.load_from_file(os.path.join(folder, "meta", "argument_specs.yml"))
        options = specified["argument_specs"]["main"].get("options", {})
        said = self._templar.template({name: task_vars[name] for name in options if name in task_vars})
        wrong = ArgumentSpecValidator(options).validate(said, validate_role_argument_spec=True).error_messages
        if wrong:
            raise AnsibleActionFail(f"variables of the role {os.path.basename(folder)}: {'; '.join(wrong)}")

    def learn(self, task_vars: dict[str, Any], packages: Iterable[str] = (), *, anew: bool = False) -> dict[str, Any]:
        """Return what :func:`facts.gather` says of the host; the host is asked once in a run, or ``anew``.

        ``packages`` are asked about besides :data:`VERSIONED`. Whoever asked leaves the answer as the fact
        ``postseal_host``. Raises :class:`AnsibleActionFail` as :meth:`call` does.
        """
        found = task_vars.get("postseal_host")
        if not anew and isinstance(found, Mapping) and found.get("run") == RUN:
            return dict(found)
        asked = sorted({*VERSIONED, *packages})
        return {**self.call("facts.gather", {"packages": asked}, task_vars), "run": RUN}

    def settle(
        self,
        thing: str,
        function: str,
        arguments: dict[str, Any],
        task_vars: dict[str, Any],
        *,
        made_of: str = "",
        **how: Any,
    ) -> dict[str, Any]:
        """Like :meth:`call`, for a function that leaves a note on the host when ``thing`` is as ``arguments`` want it.

        The function is not called where :meth:`learn` says that the note is there, holds, and is about these very
        ``arguments``; then only ``changed`` comes back. ``how`` are arguments that say nothing about the wanted state.
        ``made_of`` names the inventory (:func:`..module_utils.model.served.served`): the note keeps it for the proof.
        """
        known = self.learn(task_vars)
        # With the program: a newer one may want something else for the same arguments.
        request = hashlib.sha256(f"{host_sources()}{function}{json.dumps(arguments, sort_keys=True)}".encode())
        settles = "-".join(filter(None, (request.hexdigest(), made_of)))
        if known["settled"].get(thing) == settles:
            return {"changed": False}
        result = self.call(function, {**arguments, **how, "settles": settles}, task_vars)
        # What was learned before a change may not be true any more.
        left = {**known, "settled": {}} if result.get("changed") else known
        return {**result, "ansible_facts": {"postseal_host": left}}

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
