"""A record of the real scheduler, run again."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from exhausters.cli.app import app

pytestmark = pytest.mark.real

_GRID = '[axes]\nworkload = ["agents"]\nleave_pages = [64]\n'


def test_a_record_comes_out_the_same(tmp_path: Path) -> None:
    """The same build decides the same and counts the same work in another process."""
    (tmp_path / "grid.toml").write_text(_GRID)
    where = ["--grid", str(tmp_path / "grid.toml"), "--out", str(tmp_path / "out"), "--no-cache"]
    runner = CliRunner(env={"NO_COLOR": "1"})
    assert runner.invoke(app, ["sweep", *where]).exit_code == 0
    result = runner.invoke(app, ["replay", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    assert result.stdout == "1 run again: 1 the same\n"
