"""Two builds side by side: order, warm-ups, boots, and what is on disk. On fake hosts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from exhausters.errors import BootError, SchedulerFailedError, SeamError, UsageError, WorkloadError
from exhausters.sweep import workers
from exhausters.sweep.cell import Cell
from exhausters.sweep.execute import LocalExecutor
from exhausters.sweep.grid import Grid
from exhausters.sweep.pairs import run_pairs
from exhausters.sweep.read_records import read_records
from exhausters.sweep.record import CRASHED, DRAINED, RunRecord
from exhausters.sweep.store import pairs_writer
from tests.fakes.fake_engine import FakeHost
from tests.sweep.samples import a_grid, a_target

BASE, HEAD = a_target("0.5.22"), a_target("0.5.23")


class Ran:
    """Runs in the order in which hosts got them, warm-ups included, and what is to happen in them."""

    def __init__(self) -> None:
        self.log: list[tuple[str, Cell]] = []
        self.before: Callable[[str, Cell], None] = lambda target, cell: None

    def note(self, host: FakeHost, cell: Cell) -> None:
        self.log.append((host.target.name, cell))
        self.before(host.target.name, cell)

    @property
    def targets(self) -> str:
        """A for base and B for head, run by run."""
        return "".join("A" if name == BASE.name else "B" for name, _ in self.log)


@pytest.fixture(autouse=True)
def ran(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ran]:
    """Boot fakes."""
    told = Ran()

    class Noting(FakeHost):
        def run(self, script: Any, *args: Any, **more: Any) -> Any:
            self.on_run = lambda args: told.note(self, args[0])  # type: ignore[method-assign,misc]
            return super().run(script, *args, **more)

    FakeHost.made.clear()
    monkeypatch.setattr(workers, "Host", Noting)
    yield told
    FakeHost.made.clear()


def boots() -> Counter[str]:
    """How often each build was booted, failures included."""
    return Counter(host.target.name for host in FakeHost.made)


def fail_boots_of(monkeypatch: pytest.MonkeyPatch, target: str, error: Exception) -> None:
    def boot(prepared: Any, engine: Any, **more: Any) -> Any:
        host = original(prepared, engine, **more)
        if prepared.name == target:
            host.close()
            raise error
        return host

    original = workers.boot
    monkeypatch.setattr(workers, "boot", boot)


def outcomes(records: tuple[RunRecord, ...], target: str) -> list[str]:
    return [record.result.outcome for record in records if record.target == target]


def test_builds_take_turns_after_a_warm_up(ran: Ran) -> None:
    """Each pair of processes is warmed up by its first cell and runs all, A B, B A; warm-ups are not kept."""
    grid = a_grid(leave_pages=["all", 64])
    records = run_pairs(BASE, HEAD, grid, rounds=3)
    assert ran.targets == "AB" + "AB" * 2 + "AB" + "BA" * 2 + "AB" + "AB" * 2
    assert [cell for _, cell in ran.log] == ([grid.cells[0]] * 4 + [grid.cells[1]] * 2) * 3
    assert [(one.round, one.order, one.boot) for one in records] == [
        *[(0, "AB", 1)] * 4,
        *[(1, "BA", 2)] * 4,
        *[(2, "AB", 3)] * 4,
    ]
    ab, ba = [BASE.name, HEAD.name], [HEAD.name, BASE.name]
    assert [one.target for one in records] == ab * 2 + ba * 2 + ab * 2
    assert {one.result.outcome for one in records} == {DRAINED}
    # Counting would slow the loop that is timed.
    assert not any("repeatable" in one.result.provenance for one in records)


def test_both_runs_of_a_pair_share_a_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """Builds that each stay on a core of their own differ by the core: pairs take turns on all of them."""
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {2, 5})
    run_pairs(BASE, HEAD, a_grid(leave_pages=["all"]), rounds=5)
    assert [host.cores[1:] for host in FakeHost.made] == [[core] for core in (2, 2, 2, 2, 5, 5, 5, 5, 2, 2)]


def test_each_pair_has_processes_of_its_own(ran: Ran) -> None:
    """A round of all cells of a setting has a process of either build; those before it have ended."""
    most = 0

    def count(target: str, cell: Cell) -> None:
        nonlocal most
        most = max(most, sum(not host.closed for host in FakeHost.made))

    ran.before = count
    run_pairs(BASE, HEAD, a_grid(leave_pages=["all", 64, 32], page_size=[8, 16]), rounds=4)
    assert boots() == {BASE.name: 2 * 4, HEAD.name: 2 * 4}
    assert [host.run_count for host in FakeHost.made] == [1 + 3] * 16
    assert most == 2
    assert all(host.closed for host in FakeHost.made)


def test_no_process_of_a_pair_is_kept() -> None:
    """An executor that keeps its workers from one run to the next keeps none that a pair has used."""
    with LocalExecutor(workers=1) as executor:
        run_pairs(BASE, HEAD, a_grid(page_size=[8, 16]), rounds=1, executor=executor)
        assert len(FakeHost.made) == 4
        assert all(host.closed for host in FakeHost.made)


@pytest.mark.parametrize("error", [BootError("no such thing"), SeamError("no such thing")])
def test_a_build_that_does_not_boot_is_tried_once(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Each of its runs is a record with the reason; the other build's runs are as ever."""
    fail_boots_of(monkeypatch, HEAD.name, error)
    records = run_pairs(BASE, HEAD, a_grid(leave_pages=["all", 64, 48, 32]), rounds=12)
    assert boots() == {BASE.name: 12, HEAD.name: 1}
    assert outcomes(records, BASE.name) == [DRAINED] * 48
    assert outcomes(records, HEAD.name) == [CRASHED] * 48
    reasons = {one.result.reason for one in records if one.target == HEAD.name}
    # The boot was tried for the warm-up, which is not recorded.
    assert reasons == {f"{type(error).__name__}: no such thing"}


def test_no_build_boots(monkeypatch: pytest.MonkeyPatch) -> None:
    """If neither boots, two boots are tried for any number of cells and rounds, and no run is missing."""
    for target in (BASE, HEAD):
        fail_boots_of(monkeypatch, target.name, BootError("no such thing"))
    records = run_pairs(BASE, HEAD, a_grid(leave_pages=["all", 64, 48, 32]), rounds=12)
    assert sum(boots().values()) == 2
    assert [one.result.outcome for one in records] == [CRASHED] * 96


def test_a_build_that_dies_is_booted_again(ran: Ran) -> None:
    """The run in which a worker died is a record; the next run of that round has a new worker, too."""

    def die(target: str, cell: Cell) -> None:
        if target == HEAD.name and ran.targets.count("B") == 2:
            raise SchedulerFailedError("gone")

    ran.before = die
    records = run_pairs(BASE, HEAD, a_grid(leave_pages=["all", 64]), rounds=4)
    assert boots() == {BASE.name: 4, HEAD.name: 5}
    assert outcomes(records, HEAD.name) == [CRASHED, *[DRAINED] * 7]
    assert outcomes(records, BASE.name) == [DRAINED] * 8
    assert all(host.closed for host in FakeHost.made)


def test_a_script_that_fails_costs_no_boot(ran: Ran) -> None:
    """An error of the script, a missing seam included, is the outcome of its run and of no other."""

    def fail(target: str, cell: Cell) -> None:
        if ran.targets.count("B") == 2 and target == HEAD.name:
            raise SeamError("no such hook")

    ran.before = fail
    records = run_pairs(BASE, HEAD, a_grid(), rounds=2)
    assert outcomes(records, HEAD.name) == [CRASHED, DRAINED]
    assert boots() == {BASE.name: 2, HEAD.name: 2}
    assert all(host.closed for host in FakeHost.made)


def test_results_are_on_disk_after_each_run(tmp_path: Path) -> None:
    """Whoever looks while pairs run sees every run that has ended, in an incomplete folder."""
    grid, seen = a_grid(leave_pages=["all", 64]), []
    with pairs_writer(tmp_path, base=BASE, head=HEAD, grid=grid, rounds=2) as writer:

        def keep(record: RunRecord) -> None:
            writer.add(record)
            found = read_records(tmp_path)
            seen.append((len(found.records), found.is_complete, found.records[-1] == record))

        records = run_pairs(BASE, HEAD, grid, rounds=2, on_record=keep)
        writer.finish()
    assert seen == [(count, False, True) for count in range(1, 9)]
    found = read_records(tmp_path)
    assert found.is_complete
    assert _in_order(found.records) == _in_order(records)


def _in_order(records: Sequence[RunRecord]) -> list[RunRecord]:
    return sorted(records, key=lambda one: (one.cell.id, str(one.round), one.target))


def test_an_interrupt_keeps_what_there_is(tmp_path: Path) -> None:
    """After Ctrl-C the runs until then are on disk, marked incomplete, and no worker is left."""
    grid = a_grid(leave_pages=["all", 64])

    def interrupted() -> None:
        with pairs_writer(tmp_path, base=BASE, head=HEAD, grid=grid, rounds=3) as writer:

            def keep(record: RunRecord) -> None:
                writer.add(record)
                if record.round == 1:
                    raise KeyboardInterrupt

            run_pairs(BASE, HEAD, grid, rounds=3, on_record=keep)
            writer.finish()

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    found = read_records(tmp_path)
    assert sorted((one.round, one.target) for one in found.records) == [
        *[(0, BASE.name)] * 2,
        *[(0, HEAD.name)] * 2,
        (1, HEAD.name),
    ]
    assert not found.is_complete
    assert FakeHost.made
    assert all(host.closed for host in FakeHost.made)


def test_what_makes_no_pair_is_refused() -> None:
    """One build twice, no rounds, or a workload that cannot be built is refused before anything boots."""
    with pytest.raises(UsageError, match="with itself"):
        run_pairs(HEAD, HEAD, a_grid())
    with pytest.raises(UsageError, match="rounds=0"):
        run_pairs(BASE, HEAD, a_grid(), rounds=0)
    with pytest.raises(WorkloadError):
        run_pairs(BASE, HEAD, Grid(name="x", cells=(Cell(workload="mooncake:path=no/such/file"),)))
    assert FakeHost.made == []
