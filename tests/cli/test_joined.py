"""`exhausters joined`: what is asked of the pair, and what is told of a run that did not drain."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from typer.testing import CliRunner

from exhausters import targets
from exhausters.cli.app import app
from exhausters.sweep import joined_pair
from exhausters.sweep.cell import Cell
from exhausters.sweep.joined_pair import JoinedResult
from exhausters.sweep.record import DRAINED, STALLED
from tests.fakes.fake_target import fake_target
from tests.sweep.samples import a_record

_RUNNER = CliRunner(env={"NO_COLOR": "1", "COLUMNS": "200"})


class _Pair:
    """Stands for a run on a target; keeps the cells that it was given."""

    def __init__(self, outcome: str, reason: str) -> None:
        self.cells: tuple[Cell, ...] = ()
        self._outcome, self._reason = outcome, reason

    def run(self, target: Any, *cells: Cell) -> JoinedResult:
        self.cells = cells
        metrics = {"steps_to_drain": 1_234, "time_to_first_token_p50_seconds": None}
        prefill, decode = (a_record(cell, **metrics).result for cell in cells)
        decode = replace(decode, metrics={**decode.metrics, "time_to_first_token_p50_seconds": 0.25})
        return JoinedResult(
            outcome=self._outcome,
            reason=self._reason,
            prefill=prefill,
            decode=decode,
            transfer_model="link/1",
        )


def _invoke(
    monkeypatch: pytest.MonkeyPatch, *arguments: str, outcome: str = DRAINED, reason: str = ""
) -> tuple[Any, _Pair]:
    pair = _Pair(outcome, reason)
    monkeypatch.setattr(targets, "prepare", lambda text: fake_target())
    monkeypatch.setattr(joined_pair, "run_on_target", pair.run)
    return _RUNNER.invoke(app, ["joined", "bursts", *arguments]), pair


def test_each_engine_gets_its_own_pressure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Levels given for prefill hold there alone, and sizes hold for both."""
    result, pair = _invoke(monkeypatch, "--prefill", "leave_pages=32", "--tokens", "2048", "--no-overlap")
    assert result.exit_code == 0, result.output
    prefill, decode = pair.cells
    assert (prefill.levels.leave_pages, prefill.levels.held) == (32, True)
    assert (decode.levels.given(), decode.levels.held) == ({}, False)
    assert {one.engine.max_total_tokens for one in pair.cells} == {2048}
    assert {one.engine.overlap for one in pair.cells} == {False}


def test_both_engines_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each metric has the value of either engine; what one of them does not have is a dash, not a zero."""
    result, _ = _invoke(monkeypatch)
    (steps,) = [line for line in result.output.splitlines() if line.strip("│ ").split("  ")[0] == "steps"]
    assert steps.count("1,234") == 2
    (time,) = [line for line in result.output.splitlines() if "first token, p50" in line]
    assert "–" in time
    assert "0.250" in time
    assert "link/1" in result.output


def test_a_pair_that_does_not_drain_fails_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    """A script that calls it sees the exit code; a reader the outcome with its reason."""
    result, _ = _invoke(monkeypatch, outcome=STALLED, reason="nothing moved")
    assert result.exit_code == 2
    assert f"{STALLED}: nothing moved" in result.output


@pytest.mark.parametrize("level", ["leave_pages", "leave_pages=many", "leave_pages=-1"])
def test_a_level_without_a_number_is_refused(monkeypatch: pytest.MonkeyPatch, level: str) -> None:
    """Before anything is booted; the value and what was expected are named."""
    result, pair = _invoke(monkeypatch, "--decode", level)
    assert result.exit_code == 2
    assert f"{level!r}: expected LEVEL=NUMBER" in result.output
    assert pair.cells == ()
