# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""How the proof runs under pytest: inventory in, probes started at once, four outcomes, one report, one exit code."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.model.types import Domain, MailHost, Model
from ansible_collections.postseal.mail.tests.verify.proof import changes, report, text
from ansible_collections.postseal.mail.tests.verify.proof.claimed import Claims
from ansible_collections.postseal.mail.tests.verify.proof.counted import totals
from ansible_collections.postseal.mail.tests.verify.proof.given import (
    ROOT,
    Given,
    GivenError,
    Resolving,
    from_descriptor,
)
from ansible_collections.postseal.mail.tests.verify.proof.horizon import Expiry, Horizon
from ansible_collections.postseal.mail.tests.verify.proof.observe import Observer, Settings
from ansible_collections.postseal.mail.tests.verify.proof.outcome import (
    NotApplicableError,
    Result,
    Results,
    Status,
)
from ansible_collections.postseal.mail.tests.verify.proof.redact import redaction
from ansible_collections.postseal.mail.tests.verify.proof.run import Run
from ansible_collections.postseal.mail.tests.verify.proof.targets import (
    Endpoint,
    endpoints,
    first_address,
    host_names,
)
from ansible_collections.postseal.mail.tests.verify.proof.verdict import verdict

COULD_NOT_RUN = 2
SSLYZE = ROOT / ".venv-sslyze/bin/sslyze"
# Category, letter and word for pytest's progress; passed and failed have theirs already. A warning is no failure of the
# run, which is why pytest is told that it passed.
SHOWN = {
    Status.WARNED.value: ("warning", "W", "WARNING"),
    Status.NOTED.value: ("info", "I", "INFO"),
    Status.NOT_TESTED.value: ("not tested", "N", "NOT TESTED"),
    Status.NOT_APPLICABLE.value: ("not applicable", "-", "NOT APPLICABLE"),
}


@dataclass(frozen=True)
class Absent:
    """Stands for targets that the inventory does not give; the text says what would."""

    reason: str


@dataclass
class State:
    """What belongs to one run."""

    resolving: Resolving | None
    given: Given | None = None
    observer: Observer | None = None
    directory: tempfile.TemporaryDirectory[str] | None = None
    started: float = 0.0
    horizon: Horizon | None = None
    expiries: tuple[Expiry, ...] = ()
    previous: Mapping[str, Any] | None = None


STATE = pytest.StashKey[State]()
RESULTS = pytest.StashKey[Results]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("postseal", "verification of a mail submission service")
    group.addoption("--vault-password-file", help="for the inventory, as ansible-playbook takes it")
    group.addoption("--handover-fd", type=int, help="read the inventory from this descriptor (the action does)")
    group.addoption("--report-directory", default=str(ROOT / "report"), help="where the report's files go")
    group.addoption("--sslyze", default=str(SSLYZE), help="the program; nothing is scanned where there is none")
    group.addoption("--fail-on-warnings", action="store_true", help="end with 3 if there are warnings")
    group.addoption("--only-changes", action="store_true", help="print what changed since the last run, nothing else")
    group.addoption("--delivery-timeout", type=float, default=30.0, help="seconds to wait for the probe message")


def pytest_configure(config: pytest.Config) -> None:
    inventory = config.getoption("--ansible-inventory", None)
    descriptor = config.getoption("--handover-fd")
    resolving = Resolving(inventory, config.getoption("--vault-password-file")) if descriptor is None else None
    directory = Path(config.getoption("--report-directory"))
    config.stash[STATE] = State(resolving, started=time.time(), previous=changes.rotate(directory))
    report.clear(directory)
    config.stash[RESULTS] = Results(strict=config.getoption("--fail-on-warnings"))
    config.option.reportchars = "N"
    if config.getoption("--only-changes"):
        config.option.no_header = True
        config.option.verbose = -2


def _given(config: pytest.Config) -> Given:
    state = config.stash[STATE]
    if state.given is None:
        descriptor = config.getoption("--handover-fd")
        try:
            state.given = state.resolving.result() if state.resolving else from_descriptor(descriptor)
        except GivenError as error:
            pytest.exit(str(error), returncode=COULD_NOT_RUN)
    return state.given


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    # Before anything is collected: an unusable inventory ends the run, it is no error of six test files.
    _given(session.config)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    targets = _targets(_given(metafunc.config).model)
    for name in set(metafunc.fixturenames) & set(targets):
        metafunc.parametrize(name, targets[name], ids=_target)


def _targets(model: Model) -> dict[str, list[Any]]:
    """Return by parameter name what a check of that parameter runs on."""
    everything = endpoints(model)
    first = first_address(model, everything)
    no_probe: list[Any] = [Absent("postseal_probe is not set, so nothing was sent")]
    domains = [domain.name for domain in model.domains]
    return {
        "any_endpoint": list(everything),
        "any_starttls": [endpoint for endpoint in everything if not endpoint.implicit_tls],
        "any_implicit": [endpoint for endpoint in everything if endpoint.implicit_tls],
        "endpoint": list(first),
        "starttls": [endpoint for endpoint in first if not endpoint.implicit_tls],
        "probed_endpoint": list(first) if model.probe else no_probe,
        "credentialed_endpoint": list(first) if model.credentials else [Absent("postseal_credentials is empty")],
        "mail_host": list(model.hosts),
        "domain": list(model.domains) or [Absent("postseal_domains is empty")],
        "service_name": list(host_names(model)),
        "spf_name": [*domains, *(host.name for host in model.hosts if host.name not in domains)],
        "sending_address": [(host, address) for host in model.hosts for address in host.addresses],
    }


def _target(value: Any) -> str:
    """Return what a report calls a target."""
    if isinstance(value, (Domain, MailHost)):
        return value.name
    if isinstance(value, Absent):
        return "-"
    if isinstance(value, tuple):
        return f"{value[0].name} {value[1]}"
    return str(value)


def _context(value: Any) -> dict[str, str]:
    """Return what a remedy can say about a target."""
    if isinstance(value, Endpoint):
        return value.context
    if isinstance(value, MailHost):
        return {"host": value.name}
    if isinstance(value, Domain):
        return {"domain": value.name}
    if isinstance(value, tuple):
        return {"host": value[0].name, "address": value[1]}
    return {"name": str(value)}


def pytest_collection_finish(session: pytest.Session) -> None:
    state = session.config.stash[STATE]
    # One line per finding is the report's work; tracebacks of checks would only repeat it.
    session.config.option.tbstyle = "no"
    if not session.items or session.config.option.collectonly:
        return
    if session.config.getoption("--only-changes"):
        # From here on pytest's own lines have no place in a mail: no news is no output at all.
        session.config.pluginmanager.unregister(name="terminalreporter")
    given = _given(session.config)
    state.directory = tempfile.TemporaryDirectory(prefix="postseal-verify-")
    sslyze = Path(session.config.getoption("--sslyze"))
    settings = Settings(
        Path(state.directory.name),
        session.config.getoption("--delivery-timeout"),
        sslyze if sslyze.is_file() else None,
    )
    state.observer = Observer(given.model, given.connections, settings)
    state.horizon = Horizon(state.observer)


@pytest.fixture(scope="session")
def observed(pytestconfig: pytest.Config) -> Observer:
    observer = pytestconfig.stash[STATE].observer
    assert observer is not None
    return observer


@pytest.fixture
def evidence() -> list[str]:
    """What a check rests its judgement on, one line each: a report shows it whatever the end."""
    return []


@pytest.fixture(scope="session")
def claims(observed: Observer) -> Claims:
    return Claims(observed)


def pytest_runtest_setup(item: pytest.Item) -> None:
    for value in _parameters(item).values():
        if isinstance(value, Absent):
            raise NotApplicableError(value.reason)


def _parameters(item: pytest.Item) -> dict[str, Any]:
    callspec = getattr(item, "callspec", None)
    return dict(callspec.params) if callspec else {}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    finished = yield
    if call.excinfo is None and call.when != "call":
        return finished
    result = _result(item, call)
    item.config.stash[RESULTS].items.append(result)
    finished.user_properties.append(("status", result.status.value))
    text = f"{result.status.value}: {result.observed}"
    if result.status in (Status.WARNED, Status.NOTED):
        finished.outcome, finished.longrepr = "passed", None
    elif result.status in (Status.NOT_TESTED, Status.NOT_APPLICABLE):
        finished.outcome = "skipped"
        finished.longrepr = (str(item.path), item.location[1] or 0, text)
    elif result.status is Status.FAILED:
        finished.longrepr = text
    return finished


def _result(item: pytest.Item, call: pytest.CallInfo[None]) -> Result:
    parameters = _parameters(item)
    target = ", ".join(map(_target, parameters.values())) or "-"
    identifier = str(getattr(getattr(item, "function", None), "check_id", item.name))
    context = {key: text for value in parameters.values() for key, text in _context(value).items()}
    status, observed, advice = verdict(identifier, call.excinfo.value if call.excinfo else None, context)
    evidence = tuple(getattr(item, "funcargs", {}).get("evidence", ()))
    belongs = {key: context.get(key, "") for key in ("host", "domain")}
    given = _given(item.config)
    advice = advice.replace("ansible-playbook", given.command)
    result = Result(identifier, target, status, observed, advice, call.duration, evidence, **belongs)
    return redaction(given.model).result(result)


def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, str] | None:
    status = dict(report.user_properties).get("status")
    return SHOWN.get(str(status))


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    state = session.config.stash[STATE]
    if state.observer is not None:
        state.expiries = state.horizon.expiries() if state.horizon else ()
        state.observer.close()
    if state.directory is not None:
        state.directory.cleanup()
    if session.config.option.collectonly or session.exitstatus not in (0, 1, pytest.ExitCode.NO_TESTS_COLLECTED):
        return
    session.exitstatus = session.config.stash[RESULTS].exit_code


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for line, colour in text.coloured(_reported(config)):
        terminalreporter.line(line, **colour)


def pytest_unconfigure(config: pytest.Config) -> None:
    for line in _reported(config) if config.getoption("--only-changes", None) else ():
        print(line)


def _reported(config: pytest.Config) -> list[str]:
    """Write the report and return what to show of it: nothing if there was no run."""
    results, state = config.stash[RESULTS], config.stash[STATE]
    if state.given is None or state.observer is None:
        return []
    model = state.given.model
    hosts, domains = (tuple(item.name for item in items) for items in (model.hosts, model.domains))
    different = changes.compare(state.previous, results.items)
    run = Run(model.environment, state.started, time.time(), hosts, domains, totals(), state.expiries, different)
    written = report.write(results, run, Path(config.getoption("--report-directory")))
    if config.getoption("--only-changes"):
        return text.news(different, results, run)
    return [*text.lines(results, run), f"report: {', '.join(map(str, written))}"]
