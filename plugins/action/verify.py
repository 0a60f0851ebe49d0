# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Run the proof in tests/verify and show it while it runs. Documentation: plugins/modules/verify.py."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ..module_utils.model.problems import InventoryError
from ..plugin_utils.handover import handover
from ..plugin_utils.inventory import describe

SPEC = {
    "report_directory": {"type": "path", "required": True},
    "delivery_timeout": {"type": "int", "default": 30},
    "fail_on_warnings": {"type": "bool", "default": False},
    "only_changes": {"type": "bool", "default": False},
}
# As tests/verify/proof/report.py writes them.
LATEST, PREVIOUS = "verify.json", "verify.previous.json"
ROOT = Path(__file__).resolve().parents[2]
PASSED, FAILED, NOT_TESTED, WARNINGS = 0, 1, 2, 3
display = Display()


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible ships no type information
    """Hand the inventory to pytest through a pipe, repeat its lines, and turn its exit code into the task's result."""

    _supports_check_mode = True
    _supports_async = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the summary and the report's paths; raises :class:`AnsibleActionFail` unless everything passed."""
        super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(SPEC)
        variables = task_vars or {}
        if self._task.check_mode:
            # In check mode the services may not exist yet, and a message that is really sent is no dry run.
            display.display("The proof is not run in check mode: it looks at what runs, and sends a message.")
            return {"changed": False, "msg": "not run in check mode"}
        if not (ROOT / "tests" / "verify" / "conftest.py").is_file():
            raise AnsibleActionFail(f"{ROOT} has no tests/verify; run the proof from a checkout of Postseal")
        try:
            inventory = json.dumps(handover(variables, self._templar)).encode()
        except InventoryError as error:
            raise AnsibleActionFail(describe(error.problems, variables)) from None
        directory = Path(arguments["report_directory"]).resolve()
        display.display("The proof looks at the DNS, the hosts and their ports, and sends a message.")
        code, lines = _proof(inventory, directory, _options(arguments))
        if code not in (PASSED, FAILED, NOT_TESTED, WARNINGS):
            raise AnsibleActionFail(f"the proof did not run (pytest ends with {code}): {' '.join(lines[-3:])}")
        result = _summary(directory)
        if code == PASSED and result["exit_code"] == PASSED:
            return {"changed": False, **result}
        words = {FAILED: "failed", NOT_TESTED: "could not be completed", WARNINGS: "has warnings"}
        word = words.get(code, "is unclear")
        count = ", ".join(f"{number} {status}" for status, number in result["summary"].items() if number)
        advice = f"What to do is above and in {directory / 'verify.html'}"
        raise AnsibleActionFail(f"The proof {word}: {count}. {advice}", result=result)


def _options(arguments: dict[str, Any]) -> list[str]:
    """Return the arguments of the task as options of tests/verify/conftest.py."""
    switches = [f"--{name.replace('_', '-')}" for name in ("fail_on_warnings", "only_changes") if arguments[name]]
    return [f"--delivery-timeout={arguments['delivery_timeout']}", *switches]


def _proof(inventory: bytes, directory: Path, options: list[str]) -> tuple[int, list[str]]:
    """Run pytest with ``inventory`` in a pipe, show its lines as they come; return its exit code and the lines."""
    # Should pytest not get so far, the last report must not be taken for this one's.
    if (directory / LATEST).exists():
        (directory / LATEST).replace(directory / PREVIOUS)
    reading, writing = os.pipe()
    command = [sys.executable, "-m", "pytest", str(ROOT / "tests" / "verify"), "-q", "--no-header", "--color=no"]
    # Only the plugin that is needed: loading all that happen to be installed takes longer than many a check.
    command += ["-c", str(ROOT / "pyproject.toml"), "-p", "testinfra.plugin", "-p", "no:cacheprovider"]
    command += [f"--handover-fd={reading}", f"--report-directory={directory}", *options]
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONUNBUFFERED": "1"}
    environment.pop("PYTEST_ADDOPTS", None)
    try:
        with subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            pass_fds=[reading],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as child:
            os.close(reading)
            reading = -1
            feeder = threading.Thread(target=_feed, args=(writing, inventory), daemon=True)
            feeder.start()
            lines = []
            for line in child.stdout or ():
                lines.append(line.rstrip())
                display.display("    " + lines[-1])
            feeder.join()
        return child.returncode, lines
    finally:
        if reading >= 0:
            os.close(reading)
            os.close(writing)


def _feed(descriptor: int, data: bytes) -> None:
    """Write ``data`` beside the reading of output: a pipe holds 64 KiB, and neither side may wait for the other."""
    try:
        with os.fdopen(descriptor, "wb") as pipe:
            pipe.write(data)
    except BrokenPipeError:
        return  # the child ended early; its exit code says why


def _summary(directory: Path) -> dict[str, Any]:
    path = directory / LATEST
    try:
        report = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise AnsibleActionFail(f"the proof left no report in {path}: {error}") from None
    return {
        "exit_code": report["exit_code"],
        "summary": report["summary"],
        "seconds": report["seconds"],
        "changes": report["changes"],
        "report": [str(path.with_suffix(suffix)) for suffix in (".json", ".xml", ".html")],
    }
