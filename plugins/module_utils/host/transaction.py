# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""One staged, checked and revertible change of one service's files: lock, journal and the order of steps.

Everything that can undo the change runs here, on the host: a controller that is killed or loses its connection leaves
either the old or the new state, never half of each. Standard library, Python 3.9.
"""

from __future__ import annotations

import signal
import time
from typing import Any, Callable, NamedTuple

from .errors import HostError
from .journal import (
    Journal,
    clear_journal,
    keep_digests,
    locked,
    open_journal,
    read_digests,
    read_journal,
    sweep,
)
from .live import Comparison, compare, differences, digests, unknown_accounts
from .request import Paths, Probe, Request, parse
from .services import Service, Status, service_for, unit_files
from .smoke import ProbeError, glance


def apply(arguments: dict[str, Any]) -> dict[str, Any]:
    """Bring a service to the wanted state; ``arguments`` are those of the ``apply`` action with rendered contents.

    Returns ``changed``, ``files`` (dest -> changed), ``diff`` (if asked for), ``phase``, ``action`` (``none``,
    ``reload``, ``restart`` or ``start``), ``findings``, ``rolled_back`` and ``seconds``. Raises :class:`HostError` with
    ``phase``, ``findings`` and ``rolled_back`` when the change was refused or undone.
    """
    request = parse(arguments)
    service = service_for(request.service)
    if not (request.probes or service.kind.probes):
        raise HostError(f"{service.name}: name at least one smoke test, or nobody can tell whether it works.")
    # The connection that started this may go away; the change must come to its end regardless.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    return Transaction(request, service, Paths()).run()


class Health(NamedTuple):
    """How the service is before anything is done: its state, which probes it answers and as which instance."""

    status: Status
    answered: tuple[int, ...]
    instances: tuple[str, ...]
    complaint: str


class Transaction:
    """The steps, in their order. One instance serves one call."""

    def __init__(self, request: Request, service: Service, paths: Paths) -> None:
        self.request = request
        self.service = service
        self.paths = paths
        self.probes: tuple[Probe, ...] = request.probes or service.kind.probes
        self.started = time.monotonic()
        self.phase = "lock"
        self.notes: list[str] = []

    def run(self) -> dict[str, Any]:
        """Take the lock and do all that is needed; see :func:`apply`."""
        with locked(self.service.name, self.paths):
            sweep(self.service.name, self.paths)
            unfinished = self._recover()
            asked = self.service.ask()
            comparison = compare(self.request.files, self.request.directories, self.paths)
            watch = digests(self.request.watch, self.paths)
            health = self._health(self.service.status(asked))
            renewed = watch != read_digests(self.service.name, self.paths) if watch else False
            if not (comparison or renewed or health.complaint or unfinished):
                self._settle()
                return self._result(comparison, changed=False, action="none")
            return self._change(comparison, health, watch, renewed=renewed)

    def _change(
        self, comparison: Comparison, health: Health, watch: dict[str, str | None], *, renewed: bool
    ) -> dict[str, Any]:
        from .stage import Stage  # noqa: PLC0415  # a run that changes nothing needs none of it

        if health.complaint:
            self.notes.append(health.complaint)
        if self._unready():
            return self._result(comparison, changed=True, action="start")
        with Stage(self.service.name, self.paths) as stage:
            self.phase = "stage"
            stage.add(self.request.files, comparison.files)
            stage.build(self.request.files)
            self.phase = "validate"
            action = self._validate(stage, comparison, health)
            if self.request.check_mode:
                return self._result(comparison, changed=True, action=action)
            self._rehearse(stage, health)
            self.phase = "install"
            journal = self._journal(comparison, health)
            open_journal(self.service.name, journal, self.paths)
            self._or_back(journal, lambda: self._install(stage, comparison, journal))
        self.phase = "change"
        self._or_back(journal, lambda: self._take_over(action, comparison, health))
        if renewed or watch:
            keep_digests(self.service.name, watch, self.paths)
        clear_journal(self.service.name, self.paths)
        self._settle()
        self.phase = "done"
        return self._result(comparison, changed=True, action=action)

    def _settle(self) -> None:
        """Note that nothing is left to do for this request, and how to tell that it is still so."""
        if self.request.settles and not self.request.check_mode:
            from .settled import keep_service  # noqa: PLC0415

            keep_service(self.service, self.request, self.probes, self.paths)

    # What stands in the way

    def _unready(self) -> bool:
        """Say whether check mode ends here, because what the files need comes with an earlier step of a real run."""
        missing = unknown_accounts(self.request.files, self.request.directories)
        lacking = [] if self.service.installed() else [f"{self.service.name} is not installed yet"]
        lacking += [f"account {name} does not exist yet" for name in missing]
        if not lacking:
            return False
        if self.request.check_mode:
            self.notes.append(f"the files could not be checked: {', '.join(lacking)}")
            return True
        raise HostError(f"{self.service.name}: {', '.join(lacking)}. Install its packages first.", **self._details())

    def _health(self, status: Status) -> Health:
        answered, instances, silent = [], [], ""
        for position, probe in enumerate(self.probes if status.active else ()):
            try:
                instances.append(glance(probe, self.paths))
                answered.append(position)
            except ProbeError as problem:
                silent = silent or str(problem)
        if not status.active:
            complaint = f"{self.service.name} is not running"
        elif not status.enabled:
            complaint = f"{self.service.name} is not started at boot"
        else:
            complaint = f"{self.service.name} does not answer: {silent}" if silent else ""
        return Health(status, tuple(answered), tuple(instances), complaint)

    def _validate(self, stage: Any, comparison: Comparison, health: Health) -> str:
        from .checkers import check, must_restart, redacted  # noqa: PLC0415

        findings = redacted(check(self.service, stage, comparison.files), self.request.files)
        if findings:
            self._refuse(findings)
        if not health.status.active:
            return "start"
        restart = not self._greets(health) or must_restart(self.service, stage, comparison.files)
        return "restart" if restart else "reload"

    def _greets(self, health: Health) -> bool:
        """Say whether everything is answered now. From a silent service an answer after a reload would not show which
        configuration it has, and a daemon that Postfix holds back because it died at once stays held back.
        """
        try:
            for probe in self.probes if health.answered else ():
                glance(probe, self.paths, thorough=True)
        except ProbeError:
            return False
        return bool(health.answered)

    def _rehearse(self, stage: Any, health: Health) -> None:
        """Do what shows only when the service runs, while the old one goes on: free ports, the trial instance."""
        if self.service.name != "postfix":
            return
        from .checkers import redacted  # noqa: PLC0415
        from .trial import ports_taken, try_postfix  # noqa: PLC0415

        self.phase = "trial"
        findings = ports_taken(stage, running=health.status.active) or try_postfix(stage, self.probes)
        if findings:
            self._refuse(redacted(findings, self.request.files))

    def _refuse(self, findings: list[Any]) -> None:
        text = "; ".join(str(finding) for finding in findings[:5])
        raise HostError(
            f"{self.service.name}: the new configuration is refused, nothing was changed. {text}",
            **self._details(findings=[finding.as_dict() for finding in findings]),
        )

    # Forward

    def _journal(self, comparison: Comparison, health: Health) -> Journal:
        from .install import missing_folders  # noqa: PLC0415

        wanted = [dest for dest in comparison.files if not self._removed(dest)]
        return Journal(
            files=comparison.files,
            directories=comparison.directories,
            created=missing_folders(wanted, comparison.directories, self.paths),
            active=health.status.active,
            enabled=health.status.enabled,
            answered=health.answered,
            probes=tuple(probe._asdict() for probe in self.probes),
        )

    def _removed(self, dest: str) -> bool:
        return any(spec.content is None and dest in (spec.dest, spec.built) for spec in self.request.files)

    def _install(self, stage: Any, comparison: Comparison, journal: Journal) -> None:
        from .install import install, make_directories  # noqa: PLC0415

        wanted = [spec for spec in self.request.directories if spec.path in comparison.directories]
        make_directories(journal.created, wanted, self.paths)
        install(stage, comparison, self.paths)

    def _take_over(self, action: str, comparison: Comparison, health: Health) -> None:
        since = time.time()
        before = self.service.generation() if action == "reload" else frozenset()
        if unit_files(comparison.files):
            self.service.read_units()
        if action == "reload":
            self.service.reload()
        elif action == "restart":
            self.service.restart()
        if action == "start" or not health.status.enabled:
            self.service.start()
        self.phase = "smoke"
        from .wait import await_service  # noqa: PLC0415

        kind = self.service.kind
        await_service(
            self.service,
            self.probes,
            self.paths,
            before=before,
            instances=health.instances,
            since=since,
            patience=kind.reload_patience if action == "reload" else kind.patience,
        )

    # Back

    def _or_back(self, journal: Journal, step: Callable[[], None]) -> None:
        """Do ``step``; if it fails, go back to the journal and raise :class:`HostError` saying so."""
        try:
            step()
        except Exception as problem:
            from .rollback import go_back  # noqa: PLC0415

            cause = str(problem) or type(problem).__name__
            trouble = go_back(self.service, journal, self.paths)
            undone = "the old configuration is back and works" if journal.answered else "the old state is back"
            after = f"but going back failed: {trouble}" if trouble else undone
            finding = {"check": self.phase, "text": cause, "file": "", "line": 0}
            raise HostError(
                f"{self.service.name}: the change failed ({self.phase}): {cause}; {after}.",
                **self._details(rolled_back=not trouble, findings=[finding]),
            ) from problem

    def _recover(self) -> bool:
        """Undo a change that was cut off; say whether there was one."""
        journal = read_journal(self.service.name, self.paths)
        if journal is None:
            return False
        if self.request.check_mode:
            self.notes.append("an earlier change was cut off; a run will undo it first")
            return True
        from .rollback import go_back  # noqa: PLC0415

        trouble = go_back(self.service, journal, self.paths)
        self.notes.append("an earlier change was cut off and has been undone" + (f", but {trouble}" if trouble else ""))
        return True

    # Answers

    def _details(self, **more: Any) -> dict[str, Any]:
        common = {"phase": self.phase, "rolled_back": False, "changed": False, "notes": self.notes, "findings": []}
        return {**common, **more}

    def _result(self, comparison: Comparison, *, changed: bool, action: str) -> dict[str, Any]:
        result = {
            **self._details(),
            "changed": changed,
            "action": action,
            "files": {spec.dest: spec.dest in comparison.files for spec in self.request.files},
            "directories": {spec.path: spec.path in comparison.directories for spec in self.request.directories},
            "seconds": round(time.monotonic() - self.started, 3),
        }
        if self.request.diff:
            told = f"+ {self.service.name}: {action}{''.join(f'; {note}' for note in self.notes)}\n"
            result["diff"] = differences(self.request.files, comparison) or ([{"prepared": told}] if changed else [])
        return result
