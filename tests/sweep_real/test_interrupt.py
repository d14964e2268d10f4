"""Ctrl-C while real workers boot or run: the command ends, nothing is left, what was recorded stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from exhausters.errors import WorkerCrashedError
from exhausters.sweep.execute import LocalExecutor
from exhausters.sweep.grid import load_grid
from exhausters.sweep.plan import plan_sweep
from exhausters.sweep.read_records import read_records
from exhausters.sweep.runner import SweepOptions
from exhausters.sweep.workers import Workers
from exhausters.targets import NEWEST_RELEASE
from tests.conftest import newest_release
from tests.worker.footprint import wait_until
from tests.worker.scripts_failures import sleep_for_real

pytestmark = pytest.mark.real

# The second cell steps for minutes.
GRID = """
name = "long"
[axes]
workload = ["shared_prefix:requests=8", "shared_prefix:requests=20000", "many_leaves:requests=8"]
"""
TARGET = f"release:{NEWEST_RELEASE}"


def start(folder: Path, *words: str) -> subprocess.Popen[str]:
    (folder / "grid.toml").write_text(GRID)
    options = ["--grid", str(folder / "grid.toml"), "--out", str(folder / "out")]
    return subprocess.Popen(
        [sys.executable, "-m", "exhausters.cli", *words, *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(folder)},
    )


def read_until(run: subprocess.Popen[str], text: str) -> None:
    assert run.stderr is not None
    while text not in (line := run.stderr.readline()):
        assert line, f"the command ended at once, with {run.wait()}"


def interrupt(run: subprocess.Popen[str], folder: Path, sent: signal.Signals = signal.SIGINT) -> None:
    """Send Ctrl-C as a terminal does; expect an early end that leaves no process and no file."""
    below = psutil.Process(run.pid).children(recursive=True)
    assert below
    started = time.monotonic()
    run.send_signal(sent)
    run.communicate(timeout=60)
    assert run.returncode != 0
    assert time.monotonic() - started < 30  # the cell alone would take longer
    assert wait_until(lambda: not any(one.is_running() for one in below))
    assert list(folder.glob("exhausters-*")) == []


def test_while_a_cell_runs(tmp_path: Path) -> None:
    """Ctrl-C in the middle of a cell keeps the records of those before it, marked incomplete."""
    with start(tmp_path, "sweep", "--target", TARGET, "--workers", "1", "--no-work", "--no-cache") as run:
        read_until(run, "[1/3]")
        time.sleep(1)  # into the long cell
        interrupt(run, tmp_path)
    found = read_records(tmp_path / "out")
    assert [one.cell.workload for one in found.records] == ["shared_prefix:requests=8"]
    assert not found.is_complete


@pytest.mark.parametrize(
    ("words", "sent"),
    [
        (("sweep", "--no-cache", "--target", TARGET), signal.SIGINT),
        (("sweep", "--no-cache", "--target", TARGET), signal.SIGTERM),
        (("pair", "release:0.5.22", TARGET), signal.SIGINT),
    ],
)
def test_while_a_worker_boots(tmp_path: Path, words: tuple[str, ...], sent: signal.Signals) -> None:
    """Ctrl-C or a CI's SIGTERM during a boot ends at once; there is an incomplete folder without records."""
    with start(tmp_path, *words) as run:
        assert wait_until(lambda: (tmp_path / "out" / "sweep.json").exists(), seconds=120)
        assert wait_until(lambda: list(tmp_path.glob("exhausters-*")) != [])
        assert wait_until(lambda: psutil.Process(run.pid).children() != [])
        interrupt(run, tmp_path, sent)
    found = read_records(tmp_path / "out")
    assert (found.records, found.is_complete) == ((), False)


def test_a_consumer_that_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Closing the executor's iterator ends the run under way on the other thread, and its worker."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "grid.toml").write_text(GRID)
    options = SweepOptions().run
    tasks = plan_sweep(newest_release(), load_grid(str(tmp_path / "grid.toml")), workers=1, options=options)
    before = set(psutil.Process().children(recursive=True))
    ended = LocalExecutor(1).run(tasks)
    assert next(ended).cell.workload == "shared_prefix:requests=8"
    workers = set(psutil.Process().children(recursive=True)) - before
    assert len(workers) == 4  # the worker, its supervisor, and the two that they were forked from
    started = time.monotonic()
    ended.close()
    assert time.monotonic() - started < 30
    assert wait_until(lambda: not any(one.is_running() for one in workers))
    assert list(tmp_path.glob("exhausters-*")) == []


def in_a_thread(act: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=act)
    thread.start()
    return thread


def test_interrupt_reaches_a_hanging_script() -> None:
    """A script that never yields is ended from another thread, with a typed error and no process left."""
    told: list[BaseException] = []
    pids: list[int] = []

    def run() -> None:
        from exhausters.sweep.cell import EngineSettings

        try:
            with owner.lend(newest_release(), EngineSettings()) as host:
                pids.extend((host.pid, host.worker_pid))
                host.run(sleep_for_real)
        except WorkerCrashedError as error:
            told.append(error)

    with Workers(limit=1) as owner:
        thread = in_a_thread(run)
        assert wait_until(lambda: len(pids) == 2, seconds=120)
        time.sleep(0.5)
        owner.interrupt()
        thread.join(30)
        assert not thread.is_alive()
    assert len(told) == 1
    assert wait_until(lambda: not any(psutil.pid_exists(pid) for pid in pids))
