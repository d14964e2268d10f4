"""The runner: every cell gets a record, whatever happens to its worker. On fake hosts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exhausters.errors import (
    BootError,
    PressureError,
    SchedulerFailedError,
    SeamError,
    UsageError,
    WorkerHungError,
    WorkerOutOfMemoryError,
    WorkloadError,
)
from exhausters.sweep import workers
from exhausters.sweep.cell import Cell, EngineSettings
from exhausters.sweep.execute import LocalExecutor
from exhausters.sweep.grid import Grid
from exhausters.sweep.plan import share_out
from exhausters.sweep.record import CRASHED, DRAINED, OUT_OF_MEMORY, TIMEOUT, RunRecord
from exhausters.sweep.runner import SweepOptions, sweep
from tests.fakes.fake_engine import FakeHost
from tests.sweep.samples import a_grid, a_target

_ONE_WORKER = LocalExecutor(workers=1)


@pytest.fixture(autouse=True)
def _fake_hosts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Boot fakes."""
    FakeHost.made.clear()
    monkeypatch.setattr(workers, "Host", FakeHost)
    yield
    FakeHost.made.clear()


def _fail_cell(monkeypatch: pytest.MonkeyPatch, cell: Cell, error: Exception) -> None:
    def on_run(args: tuple[Any, ...]) -> None:
        if args[0] == cell:
            raise error

    monkeypatch.setattr(FakeHost, "on_run", staticmethod(on_run))


def test_records_come_in_the_order_of_the_grid() -> None:
    """Each cell has one record, in the grid's order, with metrics, a log and what was booted."""
    grid = a_grid(leave_pages=["all", 64], page_size=[8, 16])
    told: list[RunRecord] = []
    records = sweep(a_target(), grid, executor=LocalExecutor(2), on_record=told.append)
    assert [record.cell for record in records] == list(grid.cells)
    assert {record.result.outcome for record in records} == {DRAINED}
    assert sorted(record.cell.id for record in told) == sorted(cell.id for cell in grid.cells)
    provenance = records[0].result.provenance
    assert provenance["sglang_version"] == "fake"
    assert "pid" not in provenance
    assert provenance["workload_digest"]
    assert provenance["forward_time_model"] == "linear/1"


def test_one_boot_serves_neighbours() -> None:
    """Cells of one engine setting share a host, which is closed in the end."""
    sweep(a_target(), a_grid(leave_pages=["all", 64, 32], page_size=[8, 16]), executor=_ONE_WORKER)
    assert [(host.run_count, host.closed) for host in FakeHost.made] == [(3, True), (3, True)]


def test_exact_numbers_do_not_depend_on_workers() -> None:
    """Decisions are the same whether cells share a host or not, and in whatever order they ran before."""
    grid = a_grid(workload=["bursts", "retraction_storm"], leave_pages=["all", 64])
    alone, beside = (sweep(a_target(), grid, executor=LocalExecutor(count)) for count in (1, 3))
    assert [r.result.log.digest for r in alone] == [r.result.log.digest for r in beside]


def test_boot_failure_gives_every_cell_a_record(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that does not boot makes its cells `crashed`, with the reason; the others run."""

    def on_boot(settings: Any) -> None:
        if settings.engine["page_size"] == 8:
            raise BootError("no such thing\nand more", log_tail="log")

    monkeypatch.setattr(FakeHost, "on_boot", staticmethod(on_boot))
    records = sweep(a_target(), a_grid(leave_pages=["all", 64], page_size=[8, 16]), executor=_ONE_WORKER)
    assert [record.result.outcome for record in records] == [CRASHED, CRASHED, DRAINED, DRAINED]
    failed = records[0].result
    assert failed.reason == "BootError: no such thing"
    assert "and more" in failed.provenance["error"]
    assert len(failed.log) == 0
    assert failed.metrics == {}


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (SchedulerFailedError("gone"), CRASHED),
        (WorkerHungError("gone"), TIMEOUT),
        (WorkerOutOfMemoryError("gone"), OUT_OF_MEMORY),
    ],
)
def test_a_lost_host_is_replaced(monkeypatch: pytest.MonkeyPatch, error: Exception, outcome: str) -> None:
    """A cell whose worker dies has that outcome, and the next cell boots a new host."""
    grid = a_grid(leave_pages=["all", 64, 32])
    _fail_cell(monkeypatch, grid.cells[1], error)
    records = sweep(a_target(), grid, executor=_ONE_WORKER)
    assert [record.result.outcome for record in records] == [DRAINED, outcome, DRAINED]
    assert [host.run_count for host in FakeHost.made] == [2, 1]
    assert all(host.closed for host in FakeHost.made)


@pytest.mark.parametrize("kind", [PressureError, SeamError])
def test_a_failed_script_keeps_its_host(monkeypatch: pytest.MonkeyPatch, kind: type[Exception]) -> None:
    """An error of this project's own in the script fails the cell; the same host goes on, and is closed."""
    grid = a_grid(leave_pages=["all", 64, 32])
    _fail_cell(monkeypatch, grid.cells[0], kind("cannot take"))
    records = sweep(a_target(), grid, executor=_ONE_WORKER)
    assert [record.result.outcome for record in records] == [CRASHED, DRAINED, DRAINED]
    assert records[0].result.reason == f"{kind.__name__}: cannot take"
    assert [(host.run_count, host.closed) for host in FakeHost.made] == [(3, True)]


def test_an_unforeseen_error_closes_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistake in the harness itself is not hidden in a record, and leaves no worker behind."""
    grid = a_grid()
    _fail_cell(monkeypatch, grid.cells[0], ZeroDivisionError("a mistake"))
    with pytest.raises(ZeroDivisionError):
        sweep(a_target(), grid, executor=_ONE_WORKER)
    assert all(host.closed for host in FakeHost.made)


def test_a_workload_is_built_before_anything_is_booted() -> None:
    """A workload that cannot be built fails the sweep at once."""
    grid = Grid(name="x", cells=(Cell(workload="mooncake:path=no/such/file"),))
    with pytest.raises(WorkloadError):
        sweep(a_target(), grid, executor=_ONE_WORKER)
    assert FakeHost.made == []


def test_bad_options_are_refused() -> None:
    """An unknown clock, or no worker at all, is refused before anything is booted."""
    with pytest.raises(UsageError, match="clock='sundial'"):
        SweepOptions(clock="sundial")
    with pytest.raises(UsageError, match="workers=0"):
        LocalExecutor(workers=0)


_cells = st.lists(
    st.builds(
        Cell,
        workload=st.sampled_from("abcdef"),
        engine=st.builds(EngineSettings, page_size=st.integers(1, 4)),
    ),
    unique_by=lambda cell: cell.id,
)


@given(_cells, st.integers(1, 9))
def test_share_out_loses_nothing(cells: list[Cell], workers: int) -> None:
    """Every cell is in exactly one batch, no batch is empty, and each has one engine setting."""
    batches = list(share_out(cells, workers))
    assert sorted(cell.id for batch in batches for cell in batch) == sorted(cell.id for cell in cells)
    assert all(len({cell.engine for cell in batch}) == 1 for batch in batches)


@given(_cells, st.integers(1, 9))
def test_share_out_splits_only_for_idle_workers(cells: list[Cell], workers: int) -> None:
    """A setting is booted more than once only while there are workers without one."""
    settings = len({cell.engine for cell in cells})
    assert len(list(share_out(cells, workers))) <= max(settings, workers)
