"""Two real builds side by side, from the command to the folder and back."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from exhausters.observe.metrics import DECISION, HOST, METRICS, MODELLED
from exhausters.sweep.facts import resummarize
from exhausters.sweep.read_records import read_records
from exhausters.targets import NEWEST_RELEASE
from reports.load.sweep import load_sweep

pytestmark = pytest.mark.real

_GRID = """
name = "one"
[axes]
workload = ["agents:conversations=4"]
leave_pages = [64]
"""
BUILDS = ("release:0.5.22", f"release:{NEWEST_RELEASE}")


def test_two_rounds(tmp_path: Path) -> None:
    """Two rounds A B B A give four drained runs with host time, whose metrics follow from what is stored."""
    (tmp_path / "grid.toml").write_text(_GRID)
    options = ["--rounds", "2", "--grid", str(tmp_path / "grid.toml"), "--out", str(tmp_path / "out")]
    done = subprocess.run(
        [sys.executable, "-m", "exhausters.cli", "pair", *BUILDS, *options],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = read_records(tmp_path / "out")
    base, head = BUILDS
    assert [(one.target, one.round, one.order) for one in found.records] == [
        (base, 0, "AB"),
        (head, 0, "AB"),
        (head, 1, "BA"),
        (base, 1, "BA"),
    ]
    assert found.is_complete
    assert len({one.result.log.digest for one in found.records if one.target == head}) == 1
    for one in found.records:
        assert one.result.outcome == "drained"
        assert (one.result.metrics["scheduler_cpu_seconds"] or 0) > 0
        stored = {
            name: value
            for name, value in one.result.metrics.items()
            if METRICS[name].kind in (DECISION, MODELLED)
        }
        assert resummarize(one) == stored
        assert {METRICS[name].kind for name in one.result.metrics} == {DECISION, MODELLED, HOST}
    session, runs = load_sweep(tmp_path / "out")
    assert (session.complete, len(runs)) == (True, 4)
