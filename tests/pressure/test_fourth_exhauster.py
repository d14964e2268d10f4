"""A new exhauster costs one file and one line: all else derives from the registry."""

from __future__ import annotations

import json
import pickle
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from exhausters.asv_suite.axes import axes_of, cells_by_values
from exhausters.engine.fake.engine import FakeEngine
from exhausters.engine.settings import HostSettings
from exhausters.errors import GridError, LevelError
from exhausters.gate_suite.benchmark_info import axes_of_cell, every_axis
from exhausters.observe.metrics import METRICS
from exhausters.pressure import PressureLevels, PressureSet, kind_of, register, unregister
from exhausters.sweep import workers
from exhausters.sweep.cell import Cell
from exhausters.sweep.execute import LocalExecutor
from exhausters.sweep.grid import Grid, axis_names
from exhausters.sweep.record import DRAINED, RunRecord
from exhausters.sweep.run_options import RunOptions
from exhausters.sweep.runner import SweepOptions, sweep
from exhausters.sweep.store import sweep_writer
from exhausters.sweep.table import records_table
from exhausters.targets import PreparedTarget
from exhausters.worker.host import Host
from reports import load_results
from reports.cli.app import app
from reports.dashboard.page import DASHBOARD_NAME
from reports.detect.answer import NOTHING_WORSE
from tests.conftest import newest_release
from tests.fakes.fake_engine import FakeHost, ScriptRunner
from tests.fakes.fake_target import fake_target
from tests.pressure.toy_exhauster import KIND
from tests.reports.dashboard.pages import unpack
from tests.sweep.samples import a_grid, a_target

_TIGHT = 32


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    """The one line in the registry, for the length of a test."""
    register(KIND)
    yield
    unregister(KIND)


@pytest.fixture(name="grid")
def _grid() -> Grid:
    return a_grid(workload=["long_context:requests=12"], leave_budget=["all", _TIGHT], leave_rows=["all", 8])


def _swept(target: PreparedTarget, grid: Grid, folder: Path) -> tuple[RunRecord, ...]:
    with sweep_writer(folder, target=target, grid=grid) as writer:
        records = sweep(
            target,
            grid,
            SweepOptions(run=RunOptions(count_work=False)),
            executor=LocalExecutor(workers=1),
            on_record=writer.add,
        )
        writer.finish()
    return records


def _dashboard(folder: Path) -> dict[str, Any]:
    packed = re.search(r'id="data">([A-Za-z0-9+/=]+)</script>', (folder / DASHBOARD_NAME).read_text())
    assert packed is not None
    return unpack(packed.group(1))


def _expect_everywhere(records: tuple[RunRecord, ...], grid: Grid, folder: Path, out: Path) -> None:
    """Its level is an axis, a column, part of ids, in records, in the frame, judged, and on the dashboard."""
    assert {record.result.outcome for record in records} == {DRAINED}
    tight = [record for record in records if record.cell.levels.leave_budget == _TIGHT]
    assert [record.cell.id.split("/")[2] for record in tight] == [
        f"pages=all,refs=all,rows={rows},budget={_TIGHT}" for rows in ("all", 8)
    ]
    free, less = (
        next(r.result.metrics["prefill_steps"] for r in records if r.cell.levels.given() == given)
        for given in ({}, {"leave_budget": _TIGHT})
    )
    assert free is not None
    assert less is not None
    assert less > free

    console = Console(width=200, record=True, file=(out.parent / "table.txt").open("w"))
    console.print(records_table(records, title="toy"))
    assert re.search(r"pages +refs +rows +budget +taken", console.export_text())

    lines = [json.loads(line) for line in (folder / "records.jsonl").read_text().splitlines()]
    assert [line["levels"].get("leave_budget") for line in lines] == [None, _TIGHT, None, _TIGHT]
    results = load_results([folder])
    assert str(results.frame["leave_budget"].dtype) == "Int64"

    judged = CliRunner().invoke(app, ["gate", str(folder), str(folder)], env={"NO_COLOR": "1"})
    assert (judged.exit_code, judged.output[:9]) == (NOTHING_WORSE, "identical")
    built = CliRunner().invoke(app, ["build", str(folder), "--out", str(out)])
    assert built.exit_code == 0, built.output
    axes = {axis["name"]: axis["labels"] for axis in _dashboard(out)["axes"]}
    assert axes == {"leave_rows": ["8", "all"], "leave_budget": [str(_TIGHT), "all"]}


def test_it_is_swept_to_a_dashboard(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, grid: Grid) -> None:
    """One class and one registration reach records, table, gate and dashboard, on the fake engine."""
    monkeypatch.setattr(workers, "Host", FakeHost)
    records = _swept(a_target(), grid, tmp_path / "swept")
    _expect_everywhere(records, grid, tmp_path / "swept", tmp_path / "report")


@pytest.mark.real
def test_it_is_swept_on_the_real_scheduler(tmp_path: Path, grid: Grid) -> None:
    """The same on SGLang's own scheduler, whose worker registers what this process has registered."""
    records = _swept(newest_release(), grid, tmp_path / "swept")
    _expect_everywhere(records, grid, tmp_path / "swept", tmp_path / "report")


def test_suites_have_its_axis(grid: Grid) -> None:
    """asv and pytest-benchmark have its level as a parameter."""
    assert axes_of(grid)["leave_budget"] == ("all", _TIGHT)
    assert len(cells_by_values(grid)) == len(grid.cells)
    assert "leave_budget" in every_axis(grid)
    assert axes_of_cell(grid, grid.cells[-1], "drain")["leave_budget"] == _TIGHT


def test_existing_cells_keep_their_ids_and_digests(grid: Grid) -> None:
    """A level that joined later is in ids, records and digests of cells that give it, and of no others."""
    plain = Cell(workload="bursts")
    assert plain.id == "bursts/p16/pages=all,refs=all,rows=all/one_shot"
    assert "leave_budget" not in plain.to_json()["levels"]
    with_it = a_grid(leave_pages=[1, 2]).digest
    unregister(KIND)
    assert a_grid(leave_pages=[1, 2]).digest == with_it


def test_records_from_before_it_joined_are_loaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In records that were written without it the resource was left alone."""
    unregister(KIND)
    monkeypatch.setattr(workers, "Host", FakeHost)
    _swept(a_target(), a_grid(leave_pages=["all", 64]), tmp_path / "old")
    register(KIND)
    assert load_results([tmp_path / "old"]).frame["leave_budget"].isna().all()


def test_a_script_takes_any_level_by_name() -> None:
    """`t.exhaust(leave_budget=…)` works without a method of its own, once or held, and is released."""
    engine = ScriptRunner()
    assert engine.run(takes_by_name) == (32, 224, 0)
    assert engine.scheduler.chunked_prefill_size == 256


def takes_by_name(t: Any) -> Any:
    t.exhaust(leave_budget=_TIGHT, leave_rows=3)
    left, held = t.scheduler.chunked_prefill_size, t.pressure.holdings().held_budget
    yield
    t.release_pressure()
    return left, held, t.pressure.holdings().held_budget


def test_unknown_levels_list_what_there_is() -> None:
    """A level that no exhauster has is refused everywhere with the names of those that exist."""
    with pytest.raises(LevelError, match=r"leave_page: no exhauster has this level; .*leave_pages \(free KV"):
        PressureLevels(leave_page=3)
    with pytest.raises(LevelError, match="leave_budget"):
        kind_of("leave_page")
    with pytest.raises(AttributeError, match="the levels are leave_pages, leave_refs"):
        _ = PressureLevels().leave_page
    with pytest.raises(GridError, match="no axis 'leave_page'; the axes are workload, leave_pages"):
        a_grid(leave_page=[1])
    with pytest.raises(LevelError, match="is registered already"):
        register(KIND)
    assert axis_names()[:11] == (
        "workload",
        "leave_pages",
        "leave_refs",
        "leave_rows",
        "leave_host_pages",
        "leave_window_tokens",
        "leave_mamba_slots",
        "leave_lora_slots",
        "leave_prealloc_slots",
        "leave_budget",
        "held",
    )


def test_a_set_takes_a_kind_that_was_registered_later() -> None:
    """A scheduler that is up already can be pressed by a kind that is registered now."""
    engine = ScriptRunner()
    scheduler = engine.scheduler
    unregister(KIND)
    pressure = PressureSet(FakeEngine(scheduler))
    register(KIND)
    pressure.apply(PressureLevels(leave_budget=8, held=True))
    assert scheduler.chunked_prefill_size == 8
    pressure.release()
    assert scheduler.chunked_prefill_size == 256


def test_a_worker_registers_what_its_host_has_registered() -> None:
    """A worker process takes a level whose exhauster is outside of the package."""
    with Host(fake_target(), HostSettings(engine={"chunked_prefill_size": 256})) as host:
        assert host.run(takes_by_name) == (32, 224, 0)


def test_an_unknown_level_is_refused_and_shown() -> None:
    """A process that lacks the exhauster of a level applies nothing, and still names the level."""
    sent = pickle.dumps(PressureLevels(leave_rows=3, leave_budget=_TIGHT))
    unregister(KIND)
    levels = pickle.loads(sent)
    engine = ScriptRunner()
    with pytest.raises(LevelError, match="leave_budget: no exhauster has this level"):
        engine.run(applies, levels)
    assert engine.run(rows_left) == 64
    assert levels.label == f"pages=all,refs=all,rows=3,budget={_TIGHT}"
    assert levels.to_json()["leave_budget"] == levels.as_axes()["leave_budget"] == _TIGHT


def applies(t: Any, levels: PressureLevels) -> Any:
    t.apply_pressure(levels)
    yield


def rows_left(t: Any) -> int:
    return int(t.engine.row_pool.available_rows())


def test_metrics_do_not_name_levels() -> None:
    """No metric is tied to an exhauster by its name: the registry of metrics needs no line for a new one."""
    assert not any("leave_" in name for name in METRICS)
