"""The command line: exit codes, and errors without a traceback. On a fake runner."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import exhausters.doctor
import exhausters.sweep.runner
import exhausters.targets
from exhausters.cli.app import app
from exhausters.errors import InstallError, TargetNotFoundError
from exhausters.sweep.read_records import read_records
from exhausters.sweep.record import CRASHED, DRAINED, STALLED, TIMEOUT, UNSUPPORTED
from exhausters.sweep.store import pairs_writer
from tests.sweep.samples import a_grid, a_record, a_target

Invoke = Callable[..., Any]


@pytest.fixture
def outcomes() -> list[str]:
    """Outcomes that the fake runner gives the first cells; the others drain."""
    return []


@pytest.fixture
def invoke(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, outcomes: list[str]) -> Invoke:
    """Run the command line with a target that needs no preparation, and a runner that runs nothing."""

    def fake_sweep(target: Any, grid: Any, *_options: Any, on_record: Any, **_more: Any) -> Any:
        given = outcomes + [DRAINED] * len(grid.cells)
        records = tuple(
            a_record(cell, outcome=outcome, reason="" if outcome == DRAINED else "so it is")
            for cell, outcome in zip(grid.cells, given, strict=False)
        )
        for record in records:
            on_record(record)
        return records

    monkeypatch.setattr(exhausters.sweep.runner, "sweep", fake_sweep)
    monkeypatch.setattr(exhausters.targets, "prepare", lambda text, *, on_progress: a_target())
    (tmp_path / "grid.toml").write_text(
        'name = "small"\n[axes]\nworkload = ["bursts"]\nleave_pages = [1, 2]\n'
    )

    def run(*arguments: str) -> Any:
        own = ["--grid", str(tmp_path / "grid.toml"), "--out", str(tmp_path / "out")]
        return CliRunner().invoke(app, ["sweep", *own, *arguments])

    return run


def test_drained_cells_exit_with_0(invoke: Invoke, tmp_path: Path) -> None:
    """A sweep prints a row per cell and a line of counts, writes a complete store, and exits with 0."""
    result = invoke()
    assert result.exit_code == 0
    assert "release:0.5.23, grid small" in result.stdout
    assert "2 cells: 2 drained." in result.stdout
    assert read_records(tmp_path / "out").is_complete


def test_a_stall_is_an_outcome_and_not_a_failure(invoke: Invoke, outcomes: list[str]) -> None:
    """What the scheduler did under pressure is shown with its reason, and exits with 0."""
    outcomes.append(STALLED)
    result = invoke()
    assert result.exit_code == 0
    assert "1 stalled, 1 drained" in result.stdout or "1 drained, 1 stalled" in result.stdout
    assert "stalled: bursts/p16/pages=1,refs=all,rows=all/one_shot: so it is" in result.stdout


def test_a_cell_that_is_unsupported_is_no_failure(invoke: Invoke, outcomes: list[str]) -> None:
    """A switch that this SGLang lacks fails no sweep in which other cells ran."""
    outcomes.append(UNSUPPORTED)
    assert invoke().exit_code == 0


def test_a_sweep_in_which_nothing_ran_exits_with_2(invoke: Invoke, outcomes: list[str]) -> None:
    """A mistyped switch in every cell does not pass; the reason that cells share is printed once."""
    outcomes += [UNSUPPORTED, UNSUPPORTED]
    result = invoke()
    assert result.exit_code == 2
    assert "2 cells: 2 unsupported." in result.stdout
    first = "bursts/p16/pages=1,refs=all,rows=all/one_shot"
    assert result.stdout.count("so it is") == 1
    assert f"unsupported: 2 cells, the first {first}: so it is" in result.stdout


@pytest.mark.parametrize("outcome", [CRASHED, TIMEOUT])
def test_failures_exit_with_2(invoke: Invoke, outcomes: list[str], outcome: str, tmp_path: Path) -> None:
    """A cell that crashed or hung makes the sweep exit with 2; its record is written like any other."""
    outcomes.append(outcome)
    result = invoke()
    assert result.exit_code == 2
    assert f"{outcome}: bursts" in result.stdout
    assert [one.result.outcome for one in read_records(tmp_path / "out").records] == [outcome, DRAINED]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--grid", "nowhere.toml"], "GridError: grid 'nowhere.toml': expected one of"),
        (["--clock", "sundial"], "UsageError: clock='sundial'"),
    ],
)
def test_bad_input_exits_with_2(invoke: Invoke, arguments: list[str], expected: str, tmp_path: Path) -> None:
    """An error of this project is shown in one line on standard error, and nothing is written."""
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert expected in result.stderr.replace("\n", " ")
    assert "Traceback" not in result.output
    assert not (tmp_path / "out").exists()


def test_a_foreign_folder_exits_with_2(invoke: Invoke, tmp_path: Path) -> None:
    """Results are not written among other files."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("mine")
    result = invoke()
    assert result.exit_code == 2
    assert "UsageError" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--engine", "ray"], r"MissingExtraError.*sglang-exhausters\[ray\]"),
        (["--ray-address", "auto"], "UsageError.*this is for --engine ray"),
        (["--grid", "GONE"], "WorkloadError.*gone.jsonl"),
    ],
)
@pytest.mark.parametrize("resumed", [[], ["--resume"]])
def test_a_sweep_that_cannot_run_leaves_the_earlier_records(
    invoke: Invoke,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    arguments: list[str],
    expected: str,
    resumed: list[str],
) -> None:
    """Without its executor, or a workload, nothing in the folder is replaced or marked as incomplete."""
    assert invoke().exit_code == 0
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    gone = tmp_path / "gone.toml"
    gone.write_text(f'name = "gone"\n[axes]\nworkload = ["mooncake:{tmp_path}/gone.jsonl"]\n')
    monkeypatch.setitem(sys.modules, "ray", None)  # as if it were not installed
    result = invoke(*(str(gone) if one == "GONE" else one for one in arguments), *resumed)
    assert result.exit_code == 2
    assert re.search(expected, result.stderr.replace("\n", " "))
    assert {path: path.read_bytes() for path in before} == before


def test_pairs_that_cannot_run_leave_the_earlier_ones(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """So it is with a workload of `exhausters pair`."""
    monkeypatch.setattr(exhausters.targets, "prepare", lambda text, *, on_progress: a_target(text))
    with pairs_writer(
        tmp_path / "out", base=a_target("1"), head=a_target("2"), grid=a_grid(leave_pages=[1]), rounds=1
    ):
        pass
    (tmp_path / "out" / "records.jsonl").write_text("earlier\n")
    gone = tmp_path / "gone.toml"
    gone.write_text(f'name = "gone"\n[axes]\nworkload = ["mooncake:{tmp_path}/gone.jsonl"]\n')
    command = ["pair", "1", "2", "--grid", str(gone), "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 2
    assert "WorkloadError" in result.stderr
    assert (tmp_path / "out" / "records.jsonl").read_text() == "earlier\n"


@pytest.mark.parametrize("error", [TargetNotFoundError("no such"), InstallError("it failed")])
def test_a_target_that_cannot_be_made_ready_exits_with_2(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """The type and the message of the error are shown."""

    def fail(*args: Any, **keywords: Any) -> Any:
        raise error

    monkeypatch.setattr(exhausters.targets, "prepare", fail)
    result = invoke()
    assert result.exit_code == 2
    assert f"{type(error).__name__}: {error}" in result.stderr


@pytest.mark.parametrize(("is_ready", "code"), [(True, 0), (False, 2)])
def test_doctor_exits_with_what_it_found(monkeypatch: pytest.MonkeyPatch, is_ready: bool, code: int) -> None:
    """A target that can be swept exits with 0, any other with 2."""
    monkeypatch.setattr(exhausters.doctor, "examine", lambda target, console: is_ready)
    assert CliRunner().invoke(app, ["doctor"]).exit_code == code


def test_unknown_options_exit_with_2() -> None:
    """Typer's own errors have the same code as ours."""
    assert CliRunner().invoke(app, ["sweep", "--no-such"]).exit_code == 2
