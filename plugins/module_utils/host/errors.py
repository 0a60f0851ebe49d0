# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""How host code fails, and the one door through which the controller calls it. Standard library, Python 3.9."""

from __future__ import annotations

import importlib
from typing import Any, Callable


class HostError(Exception):
    """A failure with a message for the operator: what was found and what to do about it.

    ``details`` travels beside the message in the task's result; it must hold no secret.
    """

    def __init__(self, msg: str, **details: Any) -> None:
        super().__init__(msg)
        self.details = details


def run(function: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Call ``module.name`` of this package with ``arguments`` (one dict) and return its dict.

    A :class:`HostError` comes back as ``{"failed": True, "msg": ..., **details}``, any other exception as a failure
    that names the exception and the place but no local values, since those may be secret.
    """
    module, _, name = function.rpartition(".")
    try:
        target: Callable[[dict[str, Any]], dict[str, Any]] = getattr(
            importlib.import_module(f"{__package__}.{module}"), name
        )
        return target(arguments)
    except HostError as error:
        return {**error.details, "failed": True, "msg": str(error)}
    except Exception as error:  # the controller must get an answer whatever happened
        import traceback  # noqa: PLC0415  # it takes as long to import as a quick question takes to answer

        frame = traceback.extract_tb(error.__traceback__)[-1]
        cause = type(error).__name__ if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        return {"failed": True, "msg": f"{function} failed at {frame.name}, line {frame.lineno}: {cause}"}
