from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from exhausters.asv_suite.axes import cells_by_values
from exhausters.asv_suite.measure import CellOutcome, suite_grid
from exhausters.asv_suite.state import TargetState
from exhausters.asv_suite.suite import outcome_suite, subject_suite
from exhausters.errors import UsageError
from exhausters.sweep.record import OUTCOMES


def results(outcome: str, metrics: dict[str, Any]) -> tuple[dict[str, CellOutcome], tuple[Any, ...]]:
    """Results in which every cell ended the same way, and the values of the first point."""
    found = CellOutcome(outcome=outcome, reason="why", decision_digest="ff" * 32, metrics=metrics)
    cells = cells_by_values(suite_grid())
    return {cell.id: found for cell in cells.values()}, next(iter(cells))


def run(suite: type, name: str, outcome: str, metrics: dict[str, Any]) -> Any:
    cells, values = results(outcome, metrics)
    return getattr(suite(), name)(cells, *values)


def test_drained_cells_give_numbers() -> None:
    """A cell that drained gives its value; host time comes as a sample, so that asv keeps it."""
    decisions = subject_suite("S", subject="batch_formation", module=__name__)
    assert run(decisions, "track_steps_to_drain", "drained", {"steps_to_drain": 7}) == 7
    host = subject_suite("S", subject="host_time", module=__name__)
    found = run(host, "track_scheduler_cpu_seconds", "drained", {"scheduler_cpu_seconds": 0.5})
    assert found == {"samples": [0.5], "number": 1}


def test_no_such_value_is_nan() -> None:
    """A mean without an event is not applicable, which is neither zero nor a failure."""
    suite = subject_suite("S", subject="batch_formation", module=__name__)
    assert math.isnan(run(suite, "track_wait_steps_p50", "drained", {"wait_steps_p50": None}))


@pytest.mark.parametrize("outcome", [outcome for outcome in OUTCOMES if outcome != "drained"])
def test_cut_short_cells_are_failures_with_a_reason(outcome: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A run that was cut short has no numbers to compare; its outcome and its reason are recorded."""
    suite = subject_suite("S", subject="batch_formation", module=__name__)
    assert run(suite, "track_steps_to_drain", outcome, {"steps_to_drain": 1}) is None
    outcomes = outcome_suite("O", module=__name__)
    assert run(outcomes, "track_outcome", outcome, {}) == OUTCOMES.index(outcome) > 0
    assert "why" in capsys.readouterr().out
    assert run(outcomes, "track_decision_log", outcome, {}) is None


def test_decision_log_is_exact_in_json() -> None:
    """The digits of the decision log's digest survive JSON and floating point."""
    found = run(outcome_suite("O", module=__name__), "track_decision_log", "drained", {})
    assert json.loads(json.dumps(found)) == int(float(found)) == int("ff" * 6, 16)


def test_state_reaches_the_benchmarks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was installed is what is measured; outside of asv the error says how to start."""
    TargetState(repository="/somewhere.git", commit="a" * 40).write(tmp_path)
    monkeypatch.setenv("ASV_ENV_DIR", str(tmp_path))
    assert TargetState.read().target == f"git:/somewhere.git@{'a' * 40}"
    monkeypatch.setenv("ASV_ENV_DIR", str(tmp_path / "none"))
    with pytest.raises(UsageError, match="start the benchmarks with `asv run`"):
        TargetState.read()
