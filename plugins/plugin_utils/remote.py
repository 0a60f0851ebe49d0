# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Run a function of ``module_utils/host`` on a mail host, in one round trip, with its arguments on standard input.

An ordinary module call costs about 200 ms on the target, three quarters of it unpacking and importing the module; the
same work sent as a script to ``python3 -`` costs about 30 ms. Standard input also keeps the arguments out of the
process list and, unlike a module's arguments, out of the target's journal.
"""

from __future__ import annotations

import json
import re
import zlib
from base64 import b64encode
from functools import cache
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

HOST_PACKAGE = Path(__file__).resolve().parent.parent / "module_utils" / "host"
MARKER = "postseal-result:"

# Runs on the host. Modules of the package are found in SOURCES, everything else comes from the standard library.
BOOTSTRAP = """\
import base64, json, sys, types, zlib
SOURCES = json.loads(zlib.decompress(base64.b64decode("{sources}")))
REQUEST = json.loads(base64.b64decode("{request}"))
package = types.ModuleType("postseal_host")
package.__path__ = []
sys.modules["postseal_host"] = package
import importlib.abc, importlib.util
class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path=None, target=None):
        known = name.startswith("postseal_host.") and name.split(".", 1)[1] in SOURCES
        return importlib.util.spec_from_loader(name, self) if known else None
    def exec_module(self, module):
        name = module.__name__.split(".", 1)[1]
        exec(compile(SOURCES[name], "postseal/" + name + ".py", "exec"), module.__dict__)
sys.meta_path.insert(0, Finder())
from postseal_host.errors import run
print("{marker}" + json.dumps(run(REQUEST["function"], REQUEST["arguments"])))
"""


@cache
def host_sources() -> str:
    """Return every module of ``module_utils/host`` as one compressed, base64-encoded JSON object name -> source."""
    sources = {path.stem: path.read_text("utf-8") for path in sorted(HOST_PACKAGE.glob("*.py"))}
    return b64encode(zlib.compress(json.dumps(sources).encode(), 6)).decode()


def script(function: str, arguments: dict[str, Any]) -> str:
    """Return the program text that runs ``function`` (``module.name``) with ``arguments`` and prints its result."""
    request = b64encode(json.dumps({"function": function, "arguments": arguments}).encode()).decode()
    return BOOTSTRAP.format(sources=host_sources(), request=request, marker=MARKER)


def parse(stdout: str, stderr: str, returncode: int) -> dict[str, Any]:
    """Return the result object from a run of :func:`script`; raises :class:`ValueError` with the cause if none came."""
    for line in reversed(stdout.splitlines()):
        if line.startswith(MARKER):
            result: dict[str, Any] = json.loads(line[len(MARKER) :])
            return result
    cause = stderr.strip().splitlines()[-1:] or stdout.strip().splitlines()[-1:] or ["no output"]
    raise ValueError(f"rc {returncode}: {cause[0]}")


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
            f"{python} -", in_data=script(function, arguments).encode(), sudoable=True
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
