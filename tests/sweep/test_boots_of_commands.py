"""A booting failure is tried once, whichever command meets it. On fake hosts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import exhausters.targets
from exhausters.asv_suite import measure
from exhausters.asv_suite.state import TargetState
from exhausters.asv_suite.suite_grid import GRID_VARIABLE
from exhausters.cli.app import app
from exhausters.errors import BootError, WorkerCrashedError
from exhausters.gate_suite.benchmark_info import info_of_cell, info_of_micro
from exhausters.gate_suite.measured_cells import PHASES, Bench, repeat
from exhausters.gate_suite.scripts import time_pinning
from exhausters.sweep import workers
from exhausters.sweep.cell import EngineSettings
from exhausters.sweep.grid import load_grid
from exhausters.sweep.read_records import read_records
from exhausters.sweep.record import CRASHED
from tests.fakes.fake_engine import FakeHost
from tests.sweep.samples import a_target

_GRID = """
name = "small"
[axes]
workload = ["bursts", "agents"]
leave_pages = ["all", 64]
page_size = [8, 16]
"""
SETTINGS = 2


@pytest.fixture(autouse=True, params=[BootError, WorkerCrashedError])
def _no_boots(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[None]:
    """No host boots; targets need no preparation."""

    def on_boot(settings: Any) -> None:
        raise request.param("does not boot")

    def prepared(text: str, **_more: Any) -> Any:
        return a_target(text.removeprefix("release:"))

    FakeHost.made.clear()
    monkeypatch.setattr(FakeHost, "on_boot", staticmethod(on_boot))
    monkeypatch.setattr(workers, "Host", FakeHost)
    monkeypatch.setattr(exhausters.targets, "prepare", prepared)
    monkeypatch.setattr(workers, "prepare", prepared)
    monkeypatch.setattr(measure, "prepare", lambda text: a_target())
    yield
    FakeHost.made.clear()


@pytest.fixture
def grid(tmp_path: Path) -> Path:
    path = tmp_path / "grid.toml"
    path.write_text(_GRID)
    return path


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_sweep(grid: Path, tmp_path: Path, workers: int) -> None:
    """A sweep tries each engine setting once, on any number of workers, and has a record per cell."""
    command = ["sweep", "--grid", str(grid), "--out", str(tmp_path / "out"), "--workers", str(workers)]
    assert CliRunner().invoke(app, command).exit_code == 2
    assert len(FakeHost.made) == SETTINGS
    found = read_records(tmp_path / "out")
    assert [one.result.outcome for one in found.records] == [CRASHED] * 8
    assert all("does not boot" in one.result.reason for one in found.records)
    assert found.is_complete


def test_pair(grid: Path, tmp_path: Path) -> None:
    """A pair tries each build once per engine setting, for any number of rounds, and has every record and
    every reason printed once.
    """
    command = [
        "pair",
        "release:0.5.22",
        "release:0.5.23",
        "--grid",
        str(grid),
        "--out",
        str(tmp_path / "out"),
    ]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 2
    assert done.output.count("does not boot") == 2  # once per build, with how many runs it explains
    assert "release:0.5.22: 96 runs, the first" in done.output
    assert len(FakeHost.made) == 2 * SETTINGS
    found = read_records(tmp_path / "out")
    assert [one.result.outcome for one in found.records] == [CRASHED] * (8 * 12 * 2)
    assert found.is_complete


def test_gate_suite(grid: Path) -> None:
    """The pytest-benchmark suite tries each engine setting once, for all phases and operations."""
    operation = EngineSettings(max_total_tokens=8_192)
    with Bench("release:0.5.23", load_grid(str(grid))) as bench:
        infos = [
            info_of_cell(bench, bench.measured(cell_id), phase) for cell_id in bench.cells for phase in PHASES
        ]
        for _ in range(3):
            with pytest.raises((BootError, WorkerCrashedError), match="does not boot"):
                repeat(bench, operation, time_pinning, 64)()
            info_of_micro(bench, operation, "pin", ("leaves", 64), {}, "does not boot")
    assert {info["outcome"] for info in infos} == {CRASHED}
    assert len(FakeHost.made) == SETTINGS + 1


def test_asv(grid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """asv's measurement of a commit tries each engine setting once, and says that the commit is broken."""
    monkeypatch.setenv(GRID_VARIABLE, str(grid))
    monkeypatch.setenv("ASV_CONF_DIR", str(tmp_path))
    monkeypatch.setenv("ASV_ENV_DIR", str(tmp_path))
    TargetState(repository="/somewhere.git", commit="a" * 40).write(tmp_path)
    with pytest.raises(BootError, match="no cell ran; the first one: does not boot"):
        measure.measure_commit()
    assert len(FakeHost.made) == SETTINGS
    (folder,) = (tmp_path / ".asv" / "records").glob("small-*/*")
    assert "does not boot" in (folder / "broken.txt").read_text()
    assert len(read_records(folder).records) == 8
