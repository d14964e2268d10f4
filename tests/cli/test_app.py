"""The roof: `exhausters` offers the commands of `python -m reports` too, with the same answers."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from exhausters.cli.app import app
from exhausters.console import FAILED, errors_shown
from exhausters.errors import UsageError
from reports.cli.app import app as reports_app
from tests.reports.make import HEAD, METRICS, write_sweep

RUNNER = CliRunner(env={"NO_COLOR": "1"})


@pytest.fixture
def sweeps(tmp_path: Path) -> Path:
    """Two builds, the second of which retracts more."""
    write_sweep(tmp_path / "base")
    write_sweep(tmp_path / "head", HEAD, lambda one: one | {"metrics": METRICS | {"retractions": 6900}})
    return tmp_path


@pytest.mark.parametrize(
    ("base", "head", "code"), [("base", "base", 0), ("base", "head", 1), ("base", "no", 2)]
)
def test_gate_gives_the_same_answer_from_both(sweeps: Path, base: str, head: str, code: int) -> None:
    """`exhausters gate` and `python -m reports gate` print the same and exit alike."""
    arguments = ["gate", str(sweeps / base), str(sweeps / head)]
    ours, theirs = (RUNNER.invoke(one, arguments) for one in (app, reports_app))
    assert ours.exit_code == theirs.exit_code == code
    assert ours.output == theirs.output


def test_build_and_history_are_there(sweeps: Path) -> None:
    """`exhausters build` writes a report, `exhausters history` prints a table."""
    assert RUNNER.invoke(app, ["build", str(sweeps), "--out", str(sweeps / "out")]).exit_code == 0
    assert (sweeps / "out" / "index.html").exists()
    table = RUNNER.invoke(app, ["history", str(sweeps)])
    assert table.exit_code == 0
    assert table.output.count("release:0.5.2") == 2


def test_help_lists_every_command() -> None:
    """One `--help` shows what can be measured and what can be judged."""
    text = RUNNER.invoke(app, ["--help"]).output
    assert all(
        name in text
        for name in ("doctor", "sweep", "pair", "replay", "bisect", "mirror", "gate", "build", "history")
    )


@pytest.mark.parametrize(
    "error", [UsageError("[red]x=1[/]: must be 2"), FileNotFoundError(2, "No such", "/f")]
)
def test_errors_are_shown_as_they_are(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    """An error of the project or of a file is one message on standard error; exit code 2."""
    with pytest.raises(SystemExit) as exit_, errors_shown():
        raise error
    assert exit_.value.code == FAILED
    shown = capsys.readouterr()
    assert f"{type(error).__name__}: {error}" in shown.err.replace("\n", " ")
    assert shown.out == ""


def test_other_errors_are_not_hidden() -> None:
    """A mistake of the project's own keeps its traceback."""
    with pytest.raises(ZeroDivisionError), errors_shown():
        raise ZeroDivisionError
