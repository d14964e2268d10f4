"""Golden traces made and checked on the fake engine in this process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from exhausters.engine.fake.scheduler import FakeScheduler
from exhausters.errors import GoldenTraceError, UsageError
from exhausters.golden.traces import Checked, cell_of, check_traces, read_traces, write_traces
from exhausters.observe.decision_log import DecisionLog
from exhausters.sweep.drain import run_cell
from exhausters.sweep.plan import Task
from exhausters.sweep.record import CRASHED, RunRecord
from exhausters.workloads import parse_workload
from tests.fakes.fake_engine import ScriptRunner
from tests.golden.test_trace_file import _rewritten
from tests.sweep.samples import a_grid, a_target

_GRID = a_grid(workload=["shared_prefix:requests=6"], leave_pages=["all", 64])


class _Executor:
    """Runs every cell on a fresh fake engine; the cells in `crashed` end without a step."""

    workers = 1

    def __init__(self, *crashed: str) -> None:
        self._crashed = crashed
        self.ran = 0

    def run(self, tasks: Sequence[Task]) -> Iterator[RunRecord]:
        for run in (run for task in tasks for run in task.runs):
            self.ran += 1
            cell = run.cell
            result = ScriptRunner().run(run_cell, cell, parse_workload(cell.workload), run.options)
            if cell.id in self._crashed:
                result = replace(result, outcome=CRASHED, reason="it ended", log=DecisionLog(()))
            yield RunRecord(cell=cell, target=run.target.name, result=result)


def _written(folder: Path) -> list[Path]:
    executor: Any = _Executor()
    return write_traces(a_target(), _GRID, folder, executor)


def _checked(folder: Path, scratch: Path, *crashed: str) -> tuple[list[Checked], list[Checked]]:
    told: list[Checked] = []
    executor: Any = _Executor(*crashed)
    scratch.mkdir()
    found = check_traces(read_traces(folder), a_target(), executor, scratch, told.append)
    return found, told


def test_what_is_written_is_what_the_same_build_decides(tmp_path: Path) -> None:
    """A trace per cell, each of which says which cell it is of; run again, none differs, and all are told."""
    paths = _written(tmp_path / "golden")
    assert len({path.name for path in paths}) == len(_GRID.cells)
    assert {cell_of(one).id for one in read_traces(tmp_path / "golden")} == {one.id for one in _GRID.cells}
    found, told = _checked(tmp_path / "golden", tmp_path / "scratch")
    assert found == told
    assert [(one.difference, one.problem) for one in found] == [(None, "")] * len(paths)


def test_a_build_that_decides_otherwise_differs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first step that differs is named in every trace."""
    _written(tmp_path / "golden")
    admit = FakeScheduler._admit
    monkeypatch.setattr(
        FakeScheduler, "_admit", lambda self, one: not self.running.requests and admit(self, one)
    )
    found, _ = _checked(tmp_path / "golden", tmp_path / "scratch")
    assert all(one.difference is not None and not one.problem for one in found)


def test_a_cell_that_does_not_run_is_a_problem_and_no_difference(tmp_path: Path) -> None:
    """Of a build that took no step nothing is compared; the other traces are."""
    _written(tmp_path / "golden")
    found, _ = _checked(tmp_path / "golden", tmp_path / "scratch", _GRID.cells[0].id)
    problems = {cell_of(one.trace).id: one.problem for one in found}
    assert problems == {_GRID.cells[0].id: f"{CRASHED}: it ended", _GRID.cells[1].id: ""}
    assert all(one.difference is None for one in found)


def test_a_cell_that_crashed_has_no_trace(tmp_path: Path) -> None:
    """What was cut short must not become what every other build is held to."""
    executor: Any = _Executor(_GRID.cells[0].id)
    with pytest.raises(GoldenTraceError, match="it ended: it has no trace"):
        write_traces(a_target(), _GRID, tmp_path / "golden", executor)


@pytest.mark.parametrize(
    ("workload", "said"),
    [
        ("disturbed", "events"),
        ("bursts:adapters=2", "adapter"),
        ("bursts:grammar_steps=2", "grammar_steps"),
        ("bursts:frequency_penalty=1", "sampling arguments"),
    ],
)
def test_a_workload_that_a_trace_cannot_tell_is_refused(tmp_path: Path, workload: str, said: str) -> None:
    """Before any cell is run, with what of its requests no trace tells."""
    executor = _Executor()
    given: Any = executor
    with pytest.raises(UsageError, match=f"{said}.*, which no trace tells"):
        write_traces(a_target(), a_grid(workload=[workload]), tmp_path, given)
    assert executor.ran == 0


def test_a_folder_without_traces_is_refused(tmp_path: Path) -> None:
    """An empty folder is no set of traces that all agree."""
    with pytest.raises(GoldenTraceError, match="holds no golden traces"):
        read_traces(tmp_path)


def test_a_trace_of_another_harness_is_refused(tmp_path: Path) -> None:
    """Settings or a workload that this harness makes otherwise would be compared with something else."""
    _written(tmp_path / "golden")
    trace = read_traces(tmp_path / "golden")[0]
    (tmp_path / "x").mkdir()
    other = read_traces(
        _rewritten(
            trace,
            tmp_path / "x" / trace.path.name,
            header={"workload": {**trace.header["workload"], "digest": "f" * 64}},
        ).parent
    )[0]
    with pytest.raises(GoldenTraceError, match="another digest"):
        cell_of(other)
    no_cell = replace(trace, header={**trace.header, "levels": {"no_such_level": 1}})
    with pytest.raises(GoldenTraceError, match="makes no cell"):
        cell_of(no_cell)
