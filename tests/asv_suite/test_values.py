from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exhausters.asv_suite.axes import cells_by_values
from exhausters.asv_suite.digest import DIGEST_DIGITS, digest_number, digest_text
from exhausters.asv_suite.measure import CellOutcome, records_folder
from exhausters.asv_suite.state import TargetState
from exhausters.asv_suite.suite import outcome_suite, subject_suite
from exhausters.asv_suite.suite_grid import (
    GRID_VARIABLE,
    fix_grid_path,
    grid_label,
    suite_grid,
    suite_version,
)
from exhausters.errors import UsageError
from exhausters.observe.forward_time import LinearForwardTime
from exhausters.sweep.grid import load_grid
from exhausters.sweep.record import OUTCOMES
from exhausters.sweep.run_options import DrainLimits, RunOptions


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


@given(st.text("0123456789abcdef", min_size=64, max_size=64))
def test_decision_log_is_exact_in_json(digest: str) -> None:
    """The digits of the decision log's digest survive JSON and floating point."""
    number = digest_number(f"sha256:{digest}")
    assert digest_text(json.loads(json.dumps(number))) == digest[:DIGEST_DIGITS]


def test_asv_calls_no_decision_log_worse() -> None:
    """The two digests that are farthest apart are nearer than asv's factor of 1.1."""
    largest = run(outcome_suite("O", module=__name__), "track_decision_log", "drained", {})
    assert digest_number("00" * 32) == 1.0
    assert 1.0 < largest < 1.02


def test_version_follows_every_setting() -> None:
    """Results with other settings are of another version, also where ids leave the setting out."""
    grid, cell = suite_grid(), suite_grid().cells[0]
    larger = replace(cell, engine=replace(cell.engine, max_total_tokens=8_192))
    patient = RunOptions(limits=DrainLimits(stall_steps=65))
    slower = RunOptions(forward_time=LinearForwardTime(base_ns=1))
    versions = {
        suite_version(grid),
        suite_version(replace(grid, cells=(larger, *grid.cells[1:]))),
        suite_version(grid, patient),
        suite_version(grid, slower),
    }
    assert len(versions) == 4
    assert suite_version(replace(grid, name="another")) == suite_version(grid)


def test_grids_have_files_of_their_own(tmp_path: Path) -> None:
    """Two grids on one commit leave records in two folders, and asv's results in two files."""
    quick, short = load_grid("quick"), load_grid("short")
    folders = {records_folder(grid, "a" * 40) for grid in (quick, short)}
    assert len(folders) == 2
    assert grid_label(quick).startswith("quick-")
    assert grid_label(replace(quick, name="a b/c")).startswith("a_b_c-")


def test_state_reaches_the_benchmarks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was installed is what is measured; outside of asv the error says how to start."""
    TargetState(repository="/somewhere.git", commit="a" * 40).write(tmp_path)
    monkeypatch.setenv("ASV_ENV_DIR", str(tmp_path))
    assert TargetState.read().target == f"git:/somewhere.git@{'a' * 40}"
    monkeypatch.setenv("ASV_ENV_DIR", str(tmp_path / "none"))
    with pytest.raises(UsageError, match="start the benchmarks with `asv run`"):
        TargetState.read()


def test_relative_grid_file_is_found_by_asvs_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A grid's file that is named from where asv starts is found from the folders its processes run in."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text('name = "mine"\n[axes]\nworkload = ["agents"]\n')
    monkeypatch.setenv(GRID_VARIABLE, "mine.toml")
    fix_grid_path()
    monkeypatch.chdir("/")
    assert suite_grid().name == "mine"
    monkeypatch.setenv(GRID_VARIABLE, "short")
    fix_grid_path()
    assert suite_grid().name == "short"
