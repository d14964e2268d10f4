"""A real worker process with the fake engine in it: what a host promises, without the cost of SGLang."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from exhausters.engine.settings import HostSettings
from exhausters.errors import (
    LevelError,
    MissingModuleError,
    SchedulerFailedError,
    WorkerCrashedError,
    WorkerHungError,
    WorkerOutOfMemoryError,
)
from exhausters.observe.step_record import StepRecord
from exhausters.sweep.cell import Cell
from exhausters.sweep.drain import run_cell
from exhausters.sweep.record import DRAINED, CellResult
from exhausters.sweep.run_options import RunOptions
from exhausters.worker.host import Host
from exhausters.workloads import parse_workload
from tests.fakes.fake_engine import ScriptRunner
from tests.fakes.fake_target import fake_target
from tests.worker import scripts_failures as scripts
from tests.worker.footprint import Footprint

_SETTINGS = HostSettings(engine={"page_size": 16, "max_total_tokens": 4096, "max_running_requests": 64})


@pytest.fixture(name="folder")
def _folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary folder of its own, in which nothing may be left."""
    path = tmp_path_factory.mktemp("h")
    monkeypatch.setattr(tempfile, "tempdir", str(path))
    return path


@pytest.fixture(name="host")
def _host(folder: Path) -> Iterator[Host]:
    """A booted worker, which leaves nothing behind whatever the test does to it."""
    with Host(fake_target(), _SETTINGS) as booted:
        footprint = Footprint.of(booted, folder)
        assert len(footprint.pids) == 2  # the supervisor and the worker
        yield booted
    assert footprint.left_behind() == []


def test_scripts_run_in_another_process(host: Host) -> None:
    """Scripts are found by name in the worker, get their arguments, and their values come back."""
    assert host.run(scripts.succeed, 17) == 17
    assert host.facts["sglang_version"] == "fake"
    assert (host.facts["page_size"], host.facts["clock"]) == (16, "virtual")
    assert host.run(scripts.loaded_modules, ("torch", "zmq", "sglang", "numpy", "rich")) == []


def test_a_cell_is_the_same_in_a_worker_and_in_this_process(host: Host) -> None:
    """The process adds nothing to what is decided: same outcome, same decision log."""
    cell = Cell(workload="shared_prefix:requests=24")
    arguments = (cell, parse_workload(cell.workload), RunOptions(count_work=False))
    there: CellResult = host.run(run_cell, *arguments)
    here: CellResult = ScriptRunner().run(run_cell, *arguments)
    assert there.outcome == here.outcome == DRAINED
    assert there.log.digest == here.log.digest


def test_a_worker_stays_on_the_core_it_is_pinned_to(host: Host) -> None:
    """Until it is let go; pinning a worker that has died is harmless."""
    cores = os.sched_getaffinity(0)
    host.pin(min(cores))
    assert os.sched_getaffinity(host.worker_pid) == {min(cores)}
    host.pin(None)
    assert os.sched_getaffinity(host.worker_pid) == cores
    os.kill(host.worker_pid, signal.SIGKILL)
    with pytest.raises(WorkerCrashedError):
        host.run(scripts.succeed)
    host.pin(min(cores))


def test_own_errors_leave_the_host_usable(host: Host) -> None:
    """An error of this project's own arrives as itself, and the next script runs."""
    with pytest.raises(LevelError, match="leave_pages=-3"):
        host.run(scripts.raise_level_error)
    assert host.run(scripts.succeed) == "done"


@pytest.mark.parametrize(
    ("said", "kind"),
    [("planted trouble", SchedulerFailedError), ("Prefill out of memory.", WorkerOutOfMemoryError)],
)
def test_a_scheduler_that_raises(host: Host, said: str, kind: type[Exception]) -> None:
    """An exception of the engine's loop ends the worker, and is reported with its traceback."""
    with pytest.raises(kind, match=f"RuntimeError: {said}") as caught:
        host.run(scripts.break_scheduler, said)
    assert "in planted" in str(caught.value)
    assert not host.is_usable


@pytest.mark.parametrize(
    ("script", "said"),
    [(scripts.kill_worker, "killed by SIGKILL"), (scripts.end_worker, "exit code 7")],
)
def test_a_worker_that_dies(host: Host, script: Callable[..., object], said: str) -> None:
    """Every death has its words."""
    with pytest.raises(WorkerCrashedError, match=said):
        host.run(script)


def test_a_script_that_hangs(host: Host) -> None:
    """A script that does not end is killed at the limit."""
    with pytest.raises(WorkerHungError, match=r"within 0\.5 s"):
        host.run(scripts.step_without_end, timeout_seconds=0.5)


def test_what_was_measured_survives_a_failure(host: Host) -> None:
    """When the loop raises in the middle of a cell, the steps until then travel with the error."""
    cell = Cell(workload="shared_prefix:requests=24")
    with pytest.raises(SchedulerFailedError) as caught:
        host.run(scripts.fails_in_a_cell, cell, parse_workload(cell.workload), 30)
    salvaged = caught.value.salvaged
    assert isinstance(salvaged, CellResult)
    assert [type(step) for step in salvaged.log] == [StepRecord] * 30


def test_keywords_that_mean_nothing_are_noted(folder: Path) -> None:
    """An engine keyword that the engine does not have is noted, and is not fatal."""
    with Host(fake_target(), HostSettings(engine={"schedule_policy": "lpm"})) as host:
        assert host.ready.notes == ("schedule_policy='lpm': the fake engine has no such keyword; ignored",)


def test_only_what_was_asked_for_is_in_the_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Switches of SGLang in the caller's shell do not reach a worker; those of its settings do."""
    monkeypatch.setenv("SGLANG_AMBIENT", "1")
    with Host(fake_target(), HostSettings(environment={"SGLANG_ASKED": "2"})) as host:
        assert host.run(scripts.variables, "SGLANG_AMBIENT", "SGLANG_ASKED") == {
            "SGLANG_AMBIENT": None,
            "SGLANG_ASKED": "2",
        }


def test_an_engine_that_does_not_exist(folder: Path) -> None:
    """A target that names no engine fails while it is imported, by name, and leaves nothing behind."""
    with pytest.raises(MissingModuleError, match=r"exhausters\.engine\.none_such"):
        Host(replace(fake_target(), engine="none_such"))
    assert list(folder.iterdir()) == []
