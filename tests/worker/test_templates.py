"""Workers forked from a process that has the engine imported. On the fake engine, but for the last test."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from exhausters.engine.settings import HostSettings
from exhausters.errors import MissingModuleError, UnsupportedSettingError, WorkerCrashedError
from exhausters.sweep.cell import Cell
from exhausters.sweep.drain import run_cell
from exhausters.sweep.record import CellResult
from exhausters.sweep.run_options import COUNTED, RunOptions
from exhausters.sweep.workers import boot
from exhausters.worker import templates as module
from exhausters.worker.host import Host
from exhausters.worker.processes import Template
from exhausters.worker.templates import Templates
from exhausters.workloads import parse_workload
from tests.conftest import newest_release
from tests.fakes.fake_target import fake_target
from tests.observe_real.test_observe_real import expect_same_numbers
from tests.worker import scripts_failures as scripts
from tests.worker.footprint import Footprint, wait_until

_SETTINGS = HostSettings(engine={"page_size": 16, "max_total_tokens": 4096, "max_running_requests": 64})
_OTHER_ENGINE = HostSettings(engine={"page_size": 1, "max_total_tokens": 512, "max_running_requests": 4})


@pytest.fixture(autouse=True, name="folder")
def _folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A temporary folder of its own, in which nothing is left."""
    path = tmp_path_factory.mktemp("h")
    monkeypatch.setattr(tempfile, "tempdir", str(path))
    yield path
    assert list(path.iterdir()) == []


@pytest.fixture(name="template")
def _template() -> Iterator[Template]:
    with Template(fake_target(), _SETTINGS) as template:
        yield template


def below_this_process() -> set[int]:
    return {one.pid for one in psutil.Process().children(recursive=True)}


def test_forks_serve_scripts_with_settings_of_their_own(template: Template) -> None:
    """One template serves any engine settings, several at a time, and imports once."""
    with (
        Host(fake_target(), _SETTINGS, template=template) as first,
        Host(fake_target(), _OTHER_ENGINE, template=template) as second,
    ):
        assert (first.facts["page_size"], second.facts["page_size"]) == (16, 1)
        assert [host.run(scripts.succeed, 17) for host in (first, second)] == [17, 17]
        parents = {psutil.Process(host.pid).ppid() for host in (first, second)}
        assert len(parents) == 1
        assert parents != {os.getpid()}, "the workers are not forks"


def test_a_fork_leaves_nothing(template: Template, folder: Path) -> None:
    """Closed or killed, no process, socket or file of a fork is left while its template lives on."""
    with Host(fake_target(), _SETTINGS, template=template) as host:
        shared = set(folder.iterdir()) - {host._run_dir}
        closed = Footprint.of(host, host._run_dir)
        assert len(closed.pids) == 2
    assert closed.left_behind() == []
    with Host(fake_target(), _SETTINGS, template=template) as host:
        killed = Footprint.of(host, host._run_dir)
        with pytest.raises(WorkerCrashedError, match="killed by SIGKILL"):
            host.run(scripts.kill_worker)
        assert killed.left_behind() == []
    with Host(fake_target(), _SETTINGS, template=template) as host:
        supervised = Footprint.of(host, host._run_dir)
        os.kill(host.pid, signal.SIGKILL)
        with pytest.raises(WorkerCrashedError):
            host.run(scripts.succeed)
    # Its worker is an orphan then, which the system takes away.
    assert wait_until(lambda: supervised.left_behind() == []), supervised.left_behind()
    assert set(folder.iterdir()) == shared


def test_a_fork_ends_with_its_host_whatever_other_forks_do(template: Template) -> None:
    """No fork holds the socket of another open, by which that would learn that its host has gone."""
    with Host(fake_target(), _SETTINGS, template=template) as first:
        with Host(fake_target(), _SETTINGS, template=template) as second:
            gone = Footprint.of(first, first._run_dir)
            first.interrupt()
            assert wait_until(lambda: not psutil.pid_exists(first.worker_pid))
            assert second.run(scripts.succeed) == "done"
        with pytest.raises(WorkerCrashedError):
            first.run(scripts.succeed)
    assert gone.left_behind() == []


def test_a_template_that_has_gone_costs_nothing_but_time(template: Template) -> None:
    """Boots start a process of their own instead; a fork that lives when its template ends goes on."""
    with Host(fake_target(), _SETTINGS, template=template) as fork:
        template.interrupt()
        assert fork.run(scripts.succeed) == "done"
        with Host(fake_target(), _SETTINGS, template=template) as started:
            assert started.run(scripts.succeed) == "done"
            assert psutil.Process(started.pid).ppid() == os.getpid()


def test_what_cannot_be_imported_is_told_as_without_a_template() -> None:
    """The error is the same, typed one."""
    target = replace(fake_target(), engine="none_such")
    with (
        Template(target, _SETTINGS) as template,
        pytest.raises(MissingModuleError, match=r"exhausters\.engine\.none_such"),
    ):
        Host(target, _SETTINGS, template=template)


def test_a_fork_that_does_not_boot_is_told_as_without_a_template(template: Template, folder: Path) -> None:
    """A switch that is refused while a fork boots is the same, typed error; nothing of the fork is left."""
    before = set(folder.iterdir())
    with pytest.raises(UnsupportedSettingError, match="no_such_switch"):
        Host(fake_target(), replace(_SETTINGS, switches={"no_such_switch": 1}), template=template)
    assert set(folder.iterdir()) == before
    with Host(fake_target(), _SETTINGS, template=template) as next_one:
        assert next_one.run(scripts.succeed) == "done"


def test_variables_of_the_worker_are_those_of_its_template() -> None:
    """Settings with other variables, clocks or tree cores need other imports; engine settings do not."""
    with Template(fake_target(), replace(_SETTINGS, environment={"SGLANG_ASKED": "2"})) as template:
        fitting = replace(_OTHER_ENGINE, environment={"SGLANG_ASKED": "2"})
        assert template.fits(fake_target(), fitting)
        with Host(fake_target(), fitting, template=template) as host:
            assert host.run(scripts.variables, "SGLANG_ASKED") == {"SGLANG_ASKED": "2"}
        for other in (
            replace(fitting, environment={"SGLANG_ASKED": "3"}),
            replace(fitting, clock="real"),
            replace(fitting, tree_core="python"),
        ):
            assert not template.fits(fake_target(), other)
        assert not template.fits(replace(fake_target(), name="other"), fitting)


def test_a_command_keeps_a_few_templates(monkeypatch: pytest.MonkeyPatch) -> None:
    """The longest unused one is ended for another; one that is being used is not; none is left at the end."""
    monkeypatch.setattr(module, "MAX_TEMPLATES", 2)
    before = below_this_process()
    owner = Templates(Template)

    def settings(value: str) -> HostSettings:
        return replace(_SETTINGS, environment={"SGLANG_ASKED": value})

    with owner.borrow(fake_target(), settings("1")) as first:
        with owner.borrow(fake_target(), settings("1")) as again:
            assert again is first
        for value in ("2", "3"):
            with owner.borrow(fake_target(), settings(value)) as other:
                assert other is not first
        assert len(below_this_process() - before) == 2
        with owner.borrow(fake_target(), settings("1")) as again:
            assert again is first
    with owner.borrow(fake_target(), replace(_SETTINGS, record_boot=True)) as none:
        assert none is None, "a boot whose imports are recorded is no fork"
    owner.close()
    assert below_this_process() == before
    with owner.borrow(fake_target(), settings("1")) as none:
        assert none is None


@pytest.mark.real
def test_a_fork_decides_and_works_as_a_started_worker_does() -> None:
    """Decisions, calls and operators of the real scheduler are equal in both kinds of process."""
    cell = Cell(workload="agents")
    release, templates = newest_release(), Templates(Template)

    def measure(host: Host) -> CellResult:
        result: CellResult = host.run(
            run_cell, cell, parse_workload(cell.workload), RunOptions(passes=(COUNTED,))
        )
        return result

    try:
        with boot(release, cell.engine, templates=templates) as fork:
            forked = measure(fork)
    finally:
        templates.close()
    with boot(release, cell.engine) as host:
        started = measure(host)
    expect_same_numbers(forked, started)
    assert forked.metrics["python_calls"] == started.metrics["python_calls"]
