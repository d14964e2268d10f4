from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from exhausters.asv_suite.history import history_tables, main, overview_table, read_history
from exhausters.errors import UsageError

STEPS, LOG, OUTCOME = (
    "batch_formation.BatchFormation.track_steps_to_drain",
    "outcomes.Outcomes.track_decision_log",
    "outcomes.Outcomes.track_outcome",
)
PARAMS = [["'all'", "56"], ["'agents'"]]
Rows = Mapping[str, list[Any]]


def write_results(folder: Path, commits: Mapping[str, tuple[int, Rows]], *, version: str = "1") -> Path:
    """A results folder as asv 0.6 writes it; each commit is a date and a row for each benchmark."""
    machine = folder / "machine-a"
    machine.mkdir(parents=True)
    about = {"version": version, "param_names": ["leave_pages", "workload"], "params": PARAMS}
    benchmarks: dict[str, Any] = dict.fromkeys((STEPS, LOG, OUTCOME), about)
    (folder / "benchmarks.json").write_text(json.dumps({**benchmarks, "version": 2}))
    (machine / "machine.json").write_text(json.dumps({"machine": "a", "version": 1}))
    for commit, (date, rows) in commits.items():
        document = {
            "commit_hash": commit,
            "date": date,
            "durations": {"<build>": 9.0, "<setup_cache suite:1>": 50.0},
            "result_columns": ["result", "params", "version", "duration"],
            "results": {name: [row, PARAMS, "1", 0.5] for name, row in rows.items()},
        }
        (machine / f"{commit[:8]}-env.json").write_text(json.dumps(document))
    return folder


def drained(steps: int, digest: int) -> Rows:
    return {STEPS: [steps, steps + 1], LOG: [digest, digest], OUTCOME: [0, 0]}


def test_same_letter_means_same_decisions(tmp_path: Path) -> None:
    """Commits stand in the order of dates under their tags; those that decide alike share a letter."""
    results = write_results(
        tmp_path / "results",
        {"b" * 40: (2, drained(7, 5)), "a" * 40: (3, drained(7, 9)), "c" * 40: (1, drained(7, 5))},
    )
    commits = read_history(results, {"c" * 40: "v1", "b" * 40: "v2"})
    text = history_tables(commits, metrics=["steps_to_drain"], cells=[{"leave_pages": "56"}])
    assert text.splitlines() == [
        "**leave_pages=56, workload=agents**",
        "",
        "| release | decisions | drained | steps_to_drain |",
        "| --- | --- | --- | ---: |",
        "| v1 | A | 2/2 | 8 |",
        "| v2 | A | 2/2 | 8 |",
        "| aaaaaaaa | B | 2/2 | 8 |",
    ]


def test_failed_and_missing_values_are_told(tmp_path: Path) -> None:
    """Null is a failure, also where asv dropped it from the end of a row; NaN is no value."""
    rows = {STEPS: [float("nan")], LOG: [5], OUTCOME: [0, 1]}
    broken: Rows = {STEPS: [], LOG: [], OUTCOME: []}
    results = write_results(tmp_path / "results", {"a" * 40: (1, rows), "b" * 40: (2, broken)})
    text = history_tables(read_history(results, {}), metrics=["steps_to_drain"], cells=[])
    assert "| aaaaaaaa | A | 1/2 | – |" in text
    assert "| aaaaaaaa | A | 1/2 | failed |" in text
    assert text.count("| bbbbbbbb | – | 0/2 | failed |") == 2


def test_overview_counts_cells_that_decide_as_before(tmp_path: Path) -> None:
    """One row a commit: a letter for its decisions, and in how many cells it decides as the row above."""
    results = write_results(
        tmp_path / "results",
        {
            "a" * 40: (1, drained(7, 5)),
            "b" * 40: (2, drained(7, 5)),
            "c" * 40: (3, {STEPS: [9, 11], LOG: [5, 6], OUTCOME: [0, 0]}),
        },
    )
    text = overview_table(read_history(results, {}), metrics=["steps_to_drain"], times=True)
    assert text.splitlines() == [
        "| release | decisions | as before | drained | steps_to_drain | sweep s | reading s |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
        "| aaaaaaaa | A | – | 2/2 | 7.50 | 50.0 | 1.5 |",
        "| bbbbbbbb | A | 2/2 | 2/2 | 7.50 | 50.0 | 1.5 |",
        "| cccccccc | B | 1/2 | 2/2 | 10 | 50.0 | 1.5 |",
    ]


def test_overview_takes_means_over_the_same_cells(tmp_path: Path) -> None:
    """A cell without a number in one commit is in no row's mean; a broken commit takes no cell away."""
    short: Rows = {STEPS: [4, None], LOG: [5, None], OUTCOME: [0, 1]}
    broken: Rows = {STEPS: [], LOG: [], OUTCOME: []}
    results = write_results(
        tmp_path / "results",
        {"a" * 40: (1, drained(7, 5)), "b" * 40: (2, broken), "c" * 40: (3, short)},
    )
    text = overview_table(read_history(results, {}), metrics=["steps_to_drain"])
    assert text.splitlines()[2:] == [
        "| aaaaaaaa | A | – | 2/2 | 7 |",
        "| bbbbbbbb | – | – | 0/2 | failed |",
        "| cccccccc | B | – | 1/2 | 4 |",
    ]


def test_older_versions_are_left_out(tmp_path: Path) -> None:
    """Values of another version of a benchmark mean something else and are not shown."""
    results = write_results(tmp_path / "results", {"a" * 40: (1, drained(7, 5))}, version="2")
    assert read_history(results, {})[0].values == {}


@pytest.mark.parametrize(
    ("metrics", "cells", "told"),
    [(["nosuch"], [], "--metric nosuch"), (["steps_to_drain"], [{"leave_pages": "1"}], "--cell")],
)
def test_unknown_names_are_told(
    tmp_path: Path, metrics: list[str], cells: list[dict[str, str]], told: str
) -> None:
    """A metric or a cell that is not there is an error that names what there is."""
    commits = read_history(write_results(tmp_path / "results", {"a" * 40: (1, drained(7, 5))}), {})
    with pytest.raises(UsageError, match=told):
        history_tables(commits, metrics=metrics, cells=cells)


def test_without_results_the_error_says_what_to_run(tmp_path: Path) -> None:
    """An empty folder is an error that says what to run, with the exit code for what is broken."""
    import typer

    app = typer.Typer()
    app.command()(main)
    done = CliRunner().invoke(app, ["--results", str(tmp_path)])
    assert done.exit_code == 2
    assert "asv run" in done.output
