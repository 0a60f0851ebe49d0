# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The script that goes to a host, run by a real interpreter as a host would."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from ansible_collections.postseal.mail.plugins.plugin_utils.program import HOST_PACKAGE, parse, script


def _run(function: str, arguments: dict[str, Any], python: str = sys.executable) -> dict[str, Any]:
    answer = subprocess.run(
        [python, "-"], input=script(function, arguments), capture_output=True, text=True, check=False
    )
    return parse(answer.stdout, answer.stderr, answer.returncode)


def test_a_function_gets_its_arguments_and_returns_its_answer() -> None:
    assert _run("facts.installed_or_not", {})["failed"]
    answer = _run("errors.run", {})
    assert answer["failed"]
    facts = _run("facts.gather", {"packages": ["base-files", "no-such-package"]})
    assert list(facts.get("packages", {"base-files": ""})) == ["base-files"]


def test_a_host_error_comes_back_with_its_message_and_details() -> None:
    answer = _run("keys.create", {"dkim": [{"domain": "../x", "selector": "s", "algorithm": "rsa2048"}]})
    assert answer == {"failed": True, "msg": "'../x' cannot be a file name"}


def test_an_unexpected_error_names_the_place_but_no_value() -> None:
    answer = _run("keys.receive", {"private": [{"domain": "a.example", "selector": "s", "algorithm": "ed25519"}]})
    assert answer["failed"]
    assert "keys.receive failed at" in answer["msg"]
    secret = _run("keys.receive", {"private": [{"domain": "a.example", "selector": "s", "algorithm": "ed25519",
                                                "private": "top!secret"}]})  # fmt: skip
    assert "top!secret" not in secret["msg"]


def test_the_result_is_found_among_other_output() -> None:
    assert parse('motd\npostseal-result:{"a": 1}\n', "sudo: unable to resolve host", 0) == {"a": 1}


@pytest.mark.parametrize(
    ("stdout", "stderr", "cause"),
    [
        ("", "sh: 1: /usr/bin/python3: not found\n", "not found"),
        ("sudo: a password is required\n", "", "password"),
        ("", "", "no output"),
    ],
)
def test_no_result_is_an_error_with_its_cause(stdout: str, stderr: str, cause: str) -> None:
    with pytest.raises(ValueError, match=cause):
        parse(stdout, stderr, 127)


def test_host_code_needs_nothing_but_the_standard_library_of_python_3_9() -> None:
    for path in HOST_PACKAGE.glob("*.py"):
        compile(path.read_text("utf-8"), str(path), "exec", dont_inherit=True)
        program = (
            "import ast, sys\n"
            "tree = ast.parse(sys.stdin.read(), feature_version=(3, 9))\n"
            "names = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}\n"
            "names |= {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and not n.level}\n"
            "print(sorted({n.split('.')[0] for n in names} - set(sys.stdlib_module_names) - {'__future__'}))\n"
        )
        answer = subprocess.run(
            [sys.executable, "-c", program], input=path.read_text("utf-8"), capture_output=True, text=True, check=True
        )
        assert answer.stdout.strip() == "[]", f"{path.name} imports {answer.stdout}"
