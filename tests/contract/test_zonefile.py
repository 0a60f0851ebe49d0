# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Thread

import dns.zone
import pytest
from ansible_collections.postseal.mail.plugins.module_utils.dns.authority import WaitPolicy
from ansible_collections.postseal.mail.plugins.module_utils.dns.errors import ConflictError, ProviderError, Refused
from ansible_collections.postseal.mail.plugins.module_utils.dns.execute import Policy, execute
from ansible_collections.postseal.mail.plugins.module_utils.dns.providers.base import Server
from ansible_collections.postseal.mail.plugins.module_utils.dns.providers.zonefile import HEAD, ZoneFileProvider
from ansible_collections.postseal.mail.plugins.module_utils.dns.records import Value, text
from ansible_collections.postseal.mail.plugins.module_utils.dns.snapshot import Snapshot
from ansible_collections.postseal.mail.plugins.module_utils.model.types import ZoneFile

from .bind import STATIC, Bind
from .knot import HOST
from .suite import EVERYTHING, Bench, ProviderContract, starts

ZONE = "files.test"
ORIGINAL = f"""; the zone of Ms Grün
$ORIGIN {ZONE}.
$TTL 300
@    SOA ns1 hostmaster 4294967294 60 60 600 5
     NS  ns1
ns1  A   {HOST}
"""


class FileBackend:
    """A directory with one zone; somebody else edits it with an editor."""

    def __init__(self, directory: Path, zone: str = ZONE) -> None:
        self.directory, self.zone = directory, zone
        self.path = directory / f"{zone}.zone"

    def provider(self) -> ZoneFileProvider:
        return ZoneFileProvider(
            ZoneFile("files", str(self.directory)), locate=lambda _: [], signed=lambda zone: zone == "signed.test"
        )

    def put(self, name: str, rrtype: str, ttl: int, values: Sequence[Value]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.writelines(f"{name}. {ttl} IN {rrtype} {text(value)}\n" for value in values)

    def remove(self, name: str, rrtype: str) -> None:
        kept = [
            line
            for line in self.path.read_text().splitlines()
            if not line.startswith(f"{name}. ") or rrtype not in line.split()
        ]
        self.path.write_text("\n".join([*kept, ""]))


@pytest.fixture
def backend(tmp_path: Path) -> FileBackend:
    (tmp_path / f"{ZONE}.zone").write_text(ORIGINAL)
    return FileBackend(tmp_path)


@pytest.fixture
def bench(backend: FileBackend) -> Bench:
    return Bench(backend, backend.provider())


class TestZoneFile(ProviderContract):
    pass


def test_the_file_is_rewritten_and_what_somebody_wrote_is_kept_beside_it(bench: Bench, backend: FileBackend) -> None:
    backend.path.chmod(0o640)
    assert bench.publish(bench.claim("", "TXT", EVERYTHING, b"v=spf1 -all")).error == ""
    assert backend.path.read_text().startswith(
        f"{HEAD}\n$ORIGIN {ZONE}.\n{ZONE}. 300 IN SOA ns1.{ZONE}. hostmaster.{ZONE}. 4294967295 60 60 600 5\n"
    )
    assert f'\n{ZONE}. 300 IN TXT "v=spf1 -all"\n' in backend.path.read_text()
    assert backend.path.stat().st_mode & 0o777 == 0o640
    kept = backend.directory / f"{ZONE}.zone.4294967294"
    assert kept.read_text() == ORIGINAL
    assert bench.publish(bench.claim("", "TXT", EVERYTHING, b"v=spf1 a -all")).error == ""
    assert sorted(path.name for path in backend.directory.iterdir()) == [backend.path.name, kept.name]


def test_the_serial_goes_round_and_never_is_zero(bench: Bench) -> None:
    serials = [bench.publish(bench.claim("", "TXT", EVERYTHING, value)).serial for value in (b"1", b"2", b"3")]
    assert serials == [4294967295, 1, 2]


def test_two_versions_of_one_serial_are_both_kept(bench: Bench, backend: FileBackend) -> None:
    for number in range(2):
        backend.path.write_text(f"{ORIGINAL}; edited {number}\n")
        assert bench.publish(bench.claim("", "TXT", EVERYTHING, b"x")).error == ""
    found = {path.name: path.read_text()[-2] for path in backend.directory.iterdir() if path != backend.path}
    assert found == {f"{ZONE}.zone.4294967294": "0", f"{ZONE}.zone.4294967294.1": "1"}


def test_a_link_stays_a_link(bench: Bench, backend: FileBackend, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    target = backend.path.rename(tmp_path / "elsewhere" / "zone")
    backend.path.symlink_to(target)
    assert bench.publish(bench.claim("", "TXT", EVERYTHING, b"x")).error == ""
    assert backend.path.is_symlink()
    assert '"x"' in target.read_text()


def test_foreign_txt_is_kept_the_way_it_was_cut(bench: Bench, backend: FileBackend) -> None:
    backend.path.write_text(ORIGINAL + '@ TXT "cut" "in" "pieces"\n')
    assert bench.publish(bench.claim("", "TXT", starts("v=spf1"), b"v=spf1 -all")).error == ""
    assert f'{ZONE}. 300 IN TXT "cut" "in" "pieces"\n' in backend.path.read_text()


@pytest.mark.parametrize("line", ["$INCLUDE other", "$GENERATE 1-3 host$ A 192.0.2.$", "host A not-an-address", "@ IN"])
def test_what_would_be_lost_or_misread_is_an_error(bench: Bench, backend: FileBackend, line: str) -> None:
    backend.path.write_text(f"{ORIGINAL}{line}\n")
    with pytest.raises(ProviderError, match=r"files\.test\.zone is not a zone file: "):
        bench.prepare(bench.claim("", "TXT", EVERYTHING, b"x"))


def test_half_a_file_is_an_error(bench: Bench, backend: FileBackend) -> None:
    for part in ("", "\n".join(ORIGINAL.splitlines()[:3])):
        backend.path.write_text(part)
        with pytest.raises(ProviderError, match="is not a zone file"):
            bench.prepare(bench.claim("", "TXT", EVERYTHING, b"x"))


def test_a_signed_file_is_not_changed(bench: Bench, backend: FileBackend) -> None:
    signature = f"A 13 2 300 20300101000000 20260101000000 1 {ZONE}. AAAA"
    backend.path.write_text(f"{ORIGINAL}ns1 RRSIG {signature}\n")
    with pytest.raises(Refused, match="before it is signed"):
        bench.prepare(bench.claim("", "TXT", EVERYTHING, b"x"))


def test_signatures_are_only_asked_for_where_they_count(backend: FileBackend) -> None:
    (backend.directory / "signed.test.zone").write_text(ORIGINAL.replace(ZONE, "signed.test"))
    provider = backend.provider()
    assert provider.fetch("signed.test", {("a.signed.test", "TLSA")}).signed
    assert not provider.fetch("signed.test", {("a.signed.test", "TXT")}).signed
    assert not provider.fetch(ZONE, {(f"a.{ZONE}", "TLSA")}).signed


def test_two_runs_at_once_lose_nothing(backend: FileBackend) -> None:
    benches = [Bench(backend, backend.provider(), owner=f"env{number}") for number in range(4)]
    errors: list[str] = []

    def work(bench: Bench) -> None:
        errors.append(bench.publish(bench.claim(bench.owner, "TXT", EVERYTHING, bench.owner.encode())).error)

    threads = [Thread(target=work, args=(bench,)) for bench in benches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == [""] * 4
    for bench in benches:
        assert bench.prepare(bench.claim(bench.owner, "TXT", EVERYTHING, bench.owner.encode())).zones[0].plan.empty


def test_a_directory_that_is_none_and_a_file_that_is_gone_are_told(backend: FileBackend, tmp_path: Path) -> None:
    with pytest.raises(ProviderError, match=r"is no directory.*postseal_dns\.providers\.files\.directory"):
        ZoneFileProvider(ZoneFile("files", str(tmp_path / "nowhere"))).zone_of(ZONE)
    provider = backend.provider()
    backend.path.unlink()
    with pytest.raises(ProviderError, match="there is no file"):
        provider.fetch(ZONE, ())


def test_a_file_that_cannot_be_written_stays_as_it_is(
    bench: Bench, backend: FileBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = bench.prepare(bench.claim("", "TXT", EVERYTHING, b"x"))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    (report,) = execute(prepared, bench.policy)
    assert (report.state, report.written) == ("failed", False)
    assert "cannot be written: No space left on device" in report.error
    assert backend.path.read_text() == ORIGINAL
    assert not [path for path in backend.directory.iterdir() if path.name.startswith(".")]


@pytest.fixture(scope="module")
def bind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bind]:
    server = Bind(tmp_path_factory.mktemp("bind"))
    try:
        server.start()
        yield server
    finally:
        server.stop()


def test_a_run_fails_until_the_name_servers_have_loaded_the_file(bind: Bind, tmp_path: Path) -> None:
    """A real name server reads the very file; until it does, its answers are the old ones."""
    (tmp_path / f"{STATIC}.zone").symlink_to(bind.folder / STATIC)
    backend = FileBackend(tmp_path, STATIC)

    def servers(_: Snapshot) -> Sequence[Server]:
        return [Server("ns1", HOST, bind.port)]

    bench = Bench(backend, ZoneFileProvider(ZoneFile("files", str(tmp_path)), locate=servers))
    claim = bench.claim("a", "TXT", EVERYTHING, b"ours")
    hasty = Policy(WaitPolicy(0.2, first=0.05), bench.limits, bench.told.append)
    (report,) = execute(bench.prepare(claim), hasty)
    assert (report.state, report.written) == ("failed", True)
    assert "lagging" in report.error
    (report,) = execute(bench.prepare(claim), hasty)
    assert (report.state, report.written) == ("failed", False)
    assert bind.process is not None
    bind.process.send_signal(signal.SIGHUP)
    (report,) = execute(bench.prepare(claim), bench.policy)
    assert (report.state, report.error) == ("unchanged", "")
    assert dns.zone.from_file(str(bind.folder / STATIC), STATIC).get_rdataset("a", "TXT") is not None


def test_a_value_that_came_meanwhile_is_a_conflict(bench: Bench, backend: FileBackend) -> None:
    prepared = bench.prepare(bench.claim("a", "TXT", EVERYTHING, b"x"))
    backend.put(bench.at("a"), "CNAME", 300, ["elsewhere.example."])
    with pytest.raises(ConflictError, match=rf"a\.{ZONE} TXT"):
        bench.provider.apply(ZONE, prepared.zones[0].batches[0])
    prepared = bench.prepare(bench.claim("b", "CNAME", EVERYTHING, "elsewhere.example."))
    backend.put(bench.at("b"), "TXT", 300, [b"x"])
    with pytest.raises(ConflictError, match=rf"b\.{ZONE} CNAME"):
        bench.provider.apply(ZONE, prepared.zones[0].batches[0])
