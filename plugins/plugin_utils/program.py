# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The program text that runs one function of ``module_utils/host`` on a mail host, for whoever carries it there."""

from __future__ import annotations

import json
import zlib
from base64 import b64encode
from functools import cache
from pathlib import Path
from typing import Any

HOST_PACKAGE = Path(__file__).resolve().parent.parent / "module_utils" / "host"
MARKER = "postseal-result:"

# Runs on the host. Modules of the package are found in SOURCES, everything else comes from the standard library.
# The finder has no base class: importing importlib.abc takes twice as long as starting Python.
BOOTSTRAP = """\
import base64, json, sys, types, zlib
SOURCES = json.loads(zlib.decompress(base64.b64decode("{sources}")))
REQUEST = json.loads(base64.b64decode("{request}"))
package = types.ModuleType("postseal_host")
package.__path__ = []
sys.modules["postseal_host"] = package
from importlib.machinery import ModuleSpec
class Finder:
    def find_spec(self, name, path=None, target=None):
        known = name.startswith("postseal_host.") and name.split(".", 1)[1] in SOURCES
        return ModuleSpec(name, self) if known else None
    def create_module(self, spec):
        return None
    def exec_module(self, module):
        name = module.__name__.split(".", 1)[1]
        exec(compile(SOURCES[name], "postseal/" + name + ".py", "exec"), module.__dict__)
sys.meta_path.insert(0, Finder())
from postseal_host.errors import run
print("{marker}" + json.dumps(run(REQUEST["function"], REQUEST["arguments"])))
"""


@cache
def host_sources(modules: tuple[str, ...] = ()) -> str:
    """Return ``modules`` of ``module_utils/host`` as one compressed, base64-encoded JSON object name -> source.

    Without ``modules`` all of them are in it.
    """
    paths = [HOST_PACKAGE / f"{name}.py" for name in modules] or sorted(HOST_PACKAGE.glob("*.py"))
    sources = {path.stem: path.read_text("utf-8") for path in paths}
    return b64encode(zlib.compress(json.dumps(sources).encode(), 6)).decode()


def script(function: str, arguments: dict[str, Any], modules: tuple[str, ...] = ()) -> str:
    """Return the program text that runs ``function`` (``module.name``) with ``arguments`` and prints its result.

    ``modules`` names all that the function needs, where the text must be short; without it everything goes along.
    """
    request = b64encode(json.dumps({"function": function, "arguments": arguments}).encode()).decode()
    return BOOTSTRAP.format(sources=host_sources(modules), request=request, marker=MARKER)


def parse(stdout: str, stderr: str, returncode: int) -> dict[str, Any]:
    """Return the result object from a run of :func:`script`; raises :class:`ValueError` with the cause if none came."""
    for line in reversed(stdout.splitlines()):
        if line.startswith(MARKER):
            result: dict[str, Any] = json.loads(line[len(MARKER) :])
            return result
    cause = stderr.strip().splitlines()[-1:] or stdout.strip().splitlines()[-1:] or ["no output"]
    raise ValueError(f"rc {returncode}: {cause[0]}")
