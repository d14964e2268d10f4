"""A sweep on a Ray of two workers: the same records as on this machine, and nothing is lost with a worker."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from exhausters.sweep.execute import LocalExecutor
from exhausters.sweep.grid import Grid, parse_grid
from exhausters.sweep.plan import Task, plan_sweep
from exhausters.sweep.read_records import read_records
from exhausters.sweep.record import DRAINED, RunRecord
from exhausters.sweep.run_options import RunOptions
from exhausters.sweep.runner import sweep
from exhausters.sweep.same_result import differences
from exhausters.targets import NEWEST_RELEASE
from tests.conftest import newest_release
from tests.worker.footprint import wait_until

pytestmark = [pytest.mark.ray, pytest.mark.real]

# Under a name of its own in the process table: a Ray of someone else has other children.
_ACTOR = "ray::BootedWorker"
# What the executor has said.
SAID: list[str] = []
LONG_GRID = """
name = "long"
[axes]
workload = ["shared_prefix:requests=8", "shared_prefix:requests=20000", "many_leaves:requests=8"]
"""


@pytest.fixture(name="executor", scope="module")
def _executor() -> Iterator[Any]:
    """A Ray of two CPUs on this machine, of which nothing is left."""
    pytest.importorskip("ray", reason="Ray is not installed (`make test-ray`)")
    from exhausters.sweep.ray_executor import RayExecutor

    with RayExecutor(2, say=SAID.append) as executor:
        yield executor
    assert wait_until(lambda: not [one for one in below() if "ray" in name_of(one)])


def below() -> list[psutil.Process]:
    return list(psutil.Process().children(recursive=True))


def name_of(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline()).strip()  # a title is filled up with nothing
    except psutil.Error:
        return ""


def actors() -> list[psutil.Process]:
    return [one for one in below() if name_of(one).startswith(_ACTOR)]


def a_small_grid() -> Grid:
    """Two engine settings, so that both workers have something to do."""
    return parse_grid(
        {
            "name": "small",
            "axes": {
                "workload": ["shared_prefix:requests=8", "retraction_storm:output_tokens=48,requests=12"],
                "leave_pages": [56],
                "page_size": [8, 16],
            },
        },
        source="small",
    )


def identity(record: RunRecord) -> tuple[object, ...]:
    values = record.to_json()
    return tuple(values[name] for name in ("cell", "target", "outcome", "reason", "decision_digest"))


def test_records_are_those_of_this_machine(executor: Any) -> None:
    """Ids, their order, outcomes, decisions and counted work are equal to those of the local executor."""
    grid = a_small_grid()
    there = sweep(newest_release(), grid, executor=executor)
    here = sweep(newest_release(), grid, executor=LocalExecutor(1))
    assert [one.cell for one in there] == list(grid.cells)
    assert {one.result.outcome for one in there} == {DRAINED}
    assert [one.result.log for one in there] == [one.result.log for one in here]
    assert [identity(one) for one in there] == [identity(one) for one in here]
    pairs = zip(here, there, strict=True)
    assert [found for one, other in pairs for found in differences(one.result, other.result)] == []
    assert wait_until(lambda: not actors())
    assert SAID == []


def test_a_lost_workers_cells_are_run_again(executor: Any) -> None:
    """An actor that is killed in the middle takes no cell with it: each has a record of a whole run."""
    grid = a_small_grid()
    killed: list[int] = []

    def kill_one(record: RunRecord) -> None:
        if not killed:
            busy = next(one for one in actors() if name_of(one) == f"{_ACTOR}.run")
            killed.append(busy.pid)
            busy.kill()

    there = sweep(newest_release(), grid, executor=executor, on_record=kill_one)
    assert killed
    assert [one.cell for one in there] == list(grid.cells)
    assert {one.result.outcome for one in there} == {DRAINED}
    assert any("lost a worker" in text for text in SAID)


def test_an_idle_worker_that_died_takes_no_try(executor: Any) -> None:
    """When the busy and the idle actor are killed at the tail, the run under way was lost once."""
    short, long = plan_sweep(
        newest_release(), a_small_grid(), workers=1, options=RunOptions(count_work=False)
    )
    SAID.clear()
    killed: list[int] = []
    records = []
    for record in executor.run([Task(runs=short.runs[:1]), Task(runs=long.runs * 20)]):
        records.append(record)
        if not killed and len({one.cell.engine for one in records}) == 2:  # of both tasks
            for process in actors():
                killed.append(process.pid)
                process.kill()
    assert len(killed) == 2
    assert [one.result.outcome for one in records] == [DRAINED] * (1 + 20 * len(long.runs))
    assert len([text for text in SAID if "lost a worker" in text]) == 1


def test_an_interrupted_sweep_leaves_nothing(tmp_path: Path) -> None:
    """Ctrl-C in a long cell ends the command, its Ray and its workers; records of ended cells stay."""
    pytest.importorskip("ray", reason="Ray is not installed (`make test-ray`)")
    (tmp_path / "grid.toml").write_text(LONG_GRID)
    words = [
        "sweep",
        "--target",
        f"release:{NEWEST_RELEASE}",
        "--engine",
        "ray",
        "--workers",
        "1",
        "--no-work",
    ]
    options = ["--grid", str(tmp_path / "grid.toml"), "--out", str(tmp_path / "out")]
    with subprocess.Popen(
        [sys.executable, "-m", "exhausters.cli", *words, *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        # Ray's sockets are below its own, and the name of a socket is at most 107 characters long.
        env={**os.environ, "TMPDIR": str(tmp_path), "RAY_TMPDIR": "/tmp"},
    ) as run:
        assert run.stderr is not None
        while "[1/3]" not in (line := run.stderr.readline()):
            assert line, f"the command ended at once, with {run.wait()}"
        time.sleep(1)  # into the long cell
        started = psutil.Process(run.pid).children(recursive=True)
        assert started
        run.send_signal(signal.SIGINT)
        run.communicate(timeout=90)
    assert run.returncode != 0
    assert wait_until(lambda: not any(one.is_running() for one in started))
    assert list(tmp_path.glob("exhausters-*")) == []
    found = read_records(tmp_path / "out")
    assert [one.cell.workload for one in found.records] == ["shared_prefix:requests=8"]
    assert not found.is_complete
