"""A mark that a script leaves on the idle engine is seen before a reset takes it off."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from exhausters.cli.outcomes import print_outcomes
from exhausters.engine.fake.scheduler import FakeScheduler
from exhausters.sweep.cell import Cell
from exhausters.sweep.drain import run_cell
from exhausters.sweep.record import LEFT_MARKED_FULL, CellResult, RunRecord
from exhausters.sweep.run_options import CHECKED, DECIDE, RunOptions
from exhausters.worker.protocol import RunScript
from exhausters.worker.script_ref import script_ref
from exhausters.workloads import parse_workload
from tests.fakes.fake_engine import ScriptRunner

_CELL = Cell(workload="agents:conversations=1,turns=1,warmup_leaves=0")


def leave_the_mark(t: Any) -> Any:
    yield
    t.scheduler.is_marked_full = True


def say_nothing(t: Any) -> Any:
    yield
    return t.engine.is_marked_full()


def test_the_reset_counts_what_it_takes_off() -> None:
    """The answer to the next script tells that a mark was taken off; later ones tell of no other."""
    runner = ScriptRunner()
    scripts = (leave_the_mark, say_nothing, say_nothing)
    replies = runner.serve([RunScript(script=script_ref(one)) for one in scripts])
    assert [one.full_marks_cleared for one in replies] == [0, 1, 1]
    assert [getattr(one, "value", None) for one in replies] == [None, False, False]


def _run(run_pass: str) -> CellResult:
    options = RunOptions(passes=(run_pass,))
    result: CellResult = ScriptRunner().run(run_cell, _CELL, parse_workload(_CELL.workload), options)
    return result


@pytest.mark.parametrize("run_pass", [DECIDE, CHECKED])
def test_a_run_records_its_mark(
    run_pass: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every pass records that its idle engine was left marked, and the command counts such cells."""
    assert LEFT_MARKED_FULL not in _run(run_pass).provenance
    original = FakeScheduler._finish

    def finish(self: Any, request: Any) -> None:
        original(self, request)
        self.is_marked_full = request.rid.startswith("agent")  # not those of the warm-up

    monkeypatch.setattr(FakeScheduler, "_finish", finish)
    result = _run(run_pass)
    assert result.provenance[LEFT_MARKED_FULL] is True
    record = RunRecord(cell=_CELL, target="path:fake", result=result)
    print_outcomes(Console(width=200), [record], Path("out"), noun="cells")
    assert f"left marked as full when idle: 1 cells, the first {_CELL.id}" in capsys.readouterr().out
