from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from exhausters.observe.metrics import DECISION, METRICS, MODELLED
from exhausters.sweep.facts import resummarize
from exhausters.sweep.read_records import StoredRecords, read_records
from exhausters.targets import NEWEST_RELEASE
from tests.conftest import newest_release
from tests.worker.footprint import wait_until

pytestmark = pytest.mark.real

_TINY = """
name = "tiny"
[axes]
workload = ["shared_prefix:requests=16", "retraction_storm:requests=24"]
leave_pages = ["all", 64]
leave_refs = [0]
"""
# The middle cell steps for many seconds: long enough to be interrupted.
_LONG_IN_THE_MIDDLE = """
name = "long"
[axes]
workload = ["shared_prefix:requests=8", "shared_prefix:requests=4000", "many_leaves:requests=8"]
"""


def sweep_command(target: str, grid: Path, out: Path) -> list[str]:
    words = [
        "sweep",
        "--target",
        target,
        "--grid",
        str(grid),
        "--out",
        str(out),
        "--workers",
        "1",
        "--no-cache",
    ]
    return [sys.executable, "-m", "exhausters.cli", *words]


def run_sweep(target: str, grid: Path, out: Path) -> StoredRecords:
    done = subprocess.run(
        sweep_command(target, grid, out), capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return read_records(out)


def checkout_of_newest(folder: Path) -> Path:
    """A folder laid out as a checkout: the release's own sources, and the requirements it states."""
    sources = newest_release().source_dirs[0]
    python = folder / "python"
    shutil.copytree(sources / "sglang", python / "sglang", ignore=shutil.ignore_patterns("__pycache__"))
    metadata = next(sources.glob("sglang-*.dist-info")) / "METADATA"
    stated = [
        line.removeprefix("Requires-Dist: ")
        for line in metadata.read_text().splitlines()
        if line.startswith("Requires-Dist: ") and "extra ==" not in line
    ]
    listed = ",\n".join(f"    '{one}'" for one in stated)
    (python / "pyproject.toml").write_text(
        f"[project]\nname = 'sglang'\nversion = '{NEWEST_RELEASE}'\ndependencies = [\n{listed},\n]\n"
    )
    return folder


@pytest.fixture
def grid(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(_TINY)
    return path


def expect_same_decisions(first: StoredRecords, second: StoredRecords) -> None:
    assert [one.result.outcome for one in first.records] == ["drained"] * 4
    assert [one.cell for one in first.records] == [one.cell for one in second.records]
    for ours, theirs in zip(log_paths(first), log_paths(second), strict=True):
        assert ours.read_bytes() == theirs.read_bytes()
    for one in first.records:
        kinds = (DECISION, MODELLED)
        stored = {name: value for name, value in one.result.metrics.items() if METRICS[name].kind in kinds}
        assert resummarize(one) == stored
    # The cells themselves differ, so equality says something.
    assert len({one.result.log.digest for one in first.records}) > 1


def log_paths(stored: StoredRecords) -> list[Path]:
    """The log of each record, as the folder names it."""
    lines = (stored.folder / "records.jsonl").read_text().splitlines()
    return [stored.folder / json.loads(line)["log"] for line in lines]


def test_same_decisions_in_another_process(tmp_path: Path, grid: Path) -> None:
    """Two sweeps of one release write byte-identical logs, and their metrics follow from what is stored."""
    target = f"release:{NEWEST_RELEASE}"
    expect_same_decisions(run_sweep(target, grid, tmp_path / "a"), run_sweep(target, grid, tmp_path / "b"))


@pytest.mark.slow
def test_checkout(tmp_path: Path, grid: Path) -> None:
    """A checkout with the sources of a release decides as the release does."""
    release = run_sweep(f"release:{NEWEST_RELEASE}", grid, tmp_path / "a")
    checkout = checkout_of_newest(tmp_path / "checkout")
    expect_same_decisions(release, run_sweep(f"path:{checkout}", grid, tmp_path / "b"))


def test_worker_killed_in_the_middle(tmp_path: Path) -> None:
    """A killed worker costs its cell and no other: the error is printed, exit code 2, nothing stays."""
    grid = tmp_path / "long.toml"
    grid.write_text(_LONG_IN_THE_MIDDLE)
    run = subprocess.Popen(
        sweep_command(f"release:{NEWEST_RELEASE}", grid, tmp_path / "out"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    with run:
        assert run.stderr is not None
        assert run.stdout is not None
        while "[1/3]" not in (line := run.stderr.readline()):
            assert line, f"the sweep ended at once, with {run.wait()}"
        base = psutil.Process(run.pid).children()[0]
        template = base.children()[0]
        supervisor = template.children()[0]
        worker = supervisor.children()[0]
        time.sleep(1)  # into the long cell
        worker.send_signal(signal.SIGKILL)
        told, _ = run.communicate(timeout=300)

    assert run.returncode == 2
    assert f"WorkerCrashedError: release:{NEWEST_RELEASE}: the worker ended during script" in told
    assert "killed by SIGKILL" in told
    outcomes = [one.result.outcome for one in read_records(tmp_path / "out").records]
    assert outcomes == ["drained", "crashed", "drained"]
    assert wait_until(lambda: not any(one.is_running() for one in (template, supervisor, worker)))
    assert list(tmp_path.glob("exhausters-*")) == []
