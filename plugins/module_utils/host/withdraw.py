# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Take away a service that the inventory no longer asks for: stopped, not started at boot, without our files.

A service that has none of them was not set up by us and is left alone; so is its data. Standard library, Python 3.9.
"""

from __future__ import annotations

import contextlib
import os
from typing import Any

from .install import sync_folders
from .journal import clear_journal, locked
from .live import look
from .request import Paths, Request, parse
from .services import Service, service_for


def withdraw(arguments: dict[str, Any]) -> dict[str, Any]:
    """Stop a service and remove its files; ``arguments`` are those of :func:`transaction.apply`, each file ``absent``.

    Returns ``changed``, and ``diff`` if asked for. Cut off in between, the next call does the rest.
    """
    request, paths = parse(arguments), Paths()
    service = service_for(request.service)
    with locked(service.name, paths):
        standing = [spec.dest for spec in request.files if look(paths.live(spec.dest)).kind != "absent"]
        if not request.check_mode:
            if standing:
                _remove(service, standing, paths)
            _settle(service, request, paths)
    said = f"- {service.name}: stopped, not started at boot; removed {', '.join(standing)}\n"
    diff = {"diff": [{"prepared": said}]} if request.diff and standing else {}
    return {"changed": bool(standing), **diff}


def _remove(service: Service, standing: list[str], paths: Paths) -> None:
    service.stop(disable=True)
    for dest in standing:
        os.unlink(paths.live(dest))
    sync_folders(standing, paths)
    for folder in {os.path.dirname(dest) for dest in standing}:
        with contextlib.suppress(OSError):  # others have something in it
            os.rmdir(paths.live(folder))
    service.read_units()
    clear_journal(service.name, paths)


def _settle(service: Service, request: Request, paths: Paths) -> None:
    from .settled import keep  # noqa: PLC0415

    keep(service.name, request.settles, paths, places=[spec.dest for spec in request.files])
