"""Templates forked from a process that has imported what builds share; on the fake engine but for a test."""

from __future__ import annotations

import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from exhausters.engine.settings import HostSettings
from exhausters.errors import MissingModuleError
from exhausters.sweep.cell import Cell
from exhausters.sweep.drain import run_cell
from exhausters.sweep.execute import imported_sources
from exhausters.sweep.record import CellResult
from exhausters.sweep.run_options import COUNTED, RunOptions
from exhausters.sweep.workers import boot
from exhausters.targets import NEWEST_RELEASE, prepare
from exhausters.worker import bases as module
from exhausters.worker.bases import Base, Bases
from exhausters.worker.host import Host
from exhausters.worker.templates import Templates
from exhausters.workloads import parse_workload
from tests.fakes.fake_target import fake_target
from tests.observe_real.test_observe_real import expect_same_numbers
from tests.worker import scripts_failures as scripts
from tests.worker.footprint import wait_until
from tests.worker.test_templates import below_this_process

_SETTINGS = HostSettings(engine={"page_size": 16, "max_total_tokens": 4096, "max_running_requests": 64})

# Of other environments, and from before the scripted hook.
_OTHERS = ("0.5.22", "0.5.18", "0.5.13", "0.5.9")


@pytest.fixture(autouse=True, name="folder")
def _folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A temporary folder of its own, in which nothing is left, and no process is."""
    path, before = tmp_path_factory.mktemp("b"), below_this_process()
    monkeypatch.setattr(tempfile, "tempdir", str(path))
    yield path
    assert list(path.iterdir()) == []
    assert below_this_process() == before


def _with(name: str, value: str) -> HostSettings:
    return replace(_SETTINGS, environment={name: value})


def test_one_base_serves_templates_of_several_settings() -> None:
    """Each template has its own variables, and the base imports once for all of them."""
    with Bases() as bases:
        base = bases.of(fake_target(), _SETTINGS)
        for value in ("1", "2"):
            settings = _with("SGLANG_ASKED", value)
            assert bases.of(fake_target(), settings) is base
            template = Host.template(fake_target(), settings, bases)
            assert template is not None
            with template, Host(fake_target(), settings, template=template) as host:
                assert host.run(scripts.variables, "SGLANG_ASKED") == {"SGLANG_ASKED": value}
                assert host.run(scripts.variables, "TMPDIR") == {"TMPDIR": str(host._run_dir / "tmp")}


def test_what_an_import_may_depend_on_asks_for_a_base_of_its_own() -> None:
    """Another clock is another base; a variable that others than the engine read makes it none at all."""
    with Bases() as bases:
        base = bases.of(fake_target(), _SETTINGS)
        assert bases.of(fake_target(), replace(_SETTINGS, clock="real")) is not base
        assert bases.of(fake_target(), _with("TORCH_LOGS", "all")) is None
    assert bases.of(fake_target(), _SETTINGS) is None, "nothing is started once it is closed"


def test_a_few_bases_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """The longest unused one is ended for another, and its templates live on."""
    monkeypatch.setattr(module, "MAX_BASES", 1)
    with Bases() as bases:
        template = Host.template(fake_target(), _SETTINGS, bases)
        assert template is not None
        with template, Host(fake_target(), _SETTINGS, template=template):
            assert bases.of(fake_target(), replace(_SETTINGS, clock="real")) is not None
            with Host(fake_target(), _SETTINGS, template=template) as host:
                assert host.run(scripts.variables, "SGLANG_ASKED") == {"SGLANG_ASKED": None}


def test_a_base_that_was_lost_is_made_anew_once() -> None:
    """A night's scan gets over a base that was killed; one that cannot import is not tried for each boot."""
    with Bases() as bases:
        for is_last in (False, True):
            base = bases.of(fake_target(), _SETTINGS)
            assert base is not None
            base.interrupt()
            template = Host.template(fake_target(), _SETTINGS, bases)
            assert template is not None
            with template, Host(fake_target(), _SETTINGS, template=template):
                assert base.has_gone
            assert (bases.of(fake_target(), _SETTINGS) is None) == is_last


def test_variables_that_imports_set_are_those_of_the_template(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an import puts below the base's temporary folder is below the template's in its forks."""
    monkeypatch.setenv("EXHAUSTERS_FAKE_SETS", "FAKE_CACHE")
    with Bases() as bases:
        template = Host.template(fake_target(), _SETTINGS, bases)
        assert template is not None
        with template, Host(fake_target(), _SETTINGS, template=template) as host:
            found = host.run(scripts.variables, "FAKE_CACHE")["FAKE_CACHE"]
            assert found.startswith(str(template._run_dir))


def test_whoever_waits_for_a_base_is_let_go(folder: Path) -> None:
    """Ctrl-C during an import of a minute ends the wait at once: the boot goes on without a base."""
    with Bases() as bases:
        base = bases.of(fake_target(), _SETTINGS)
        template = Host.template(fake_target(), _SETTINGS, bases)
        assert base is not None
        assert template is not None
        process = base._server._process
        assert isinstance(process, subprocess.Popen)
        process.send_signal(signal.SIGSTOP)
        with template:
            waiting = threading.Thread(
                target=lambda: Host(fake_target(), _SETTINGS, template=template).close()
            )
            waiting.start()
            assert wait_until(lambda: any(folder.glob("*/template.log"))), "it waits for the base by now"
            bases.interrupt()
            waiting.join(timeout=60)
            assert not waiting.is_alive()


def test_a_base_whose_host_has_gone_leaves_nothing() -> None:
    """Whenever that is: before it has imported, too."""
    base = Base(fake_target(), _SETTINGS)
    base._server._control.close()
    process = base._server._process
    assert process is not None
    assert process.wait() == 0
    assert not base._run_dir.exists()


def test_a_base_that_has_gone_costs_nothing_but_time() -> None:
    """Its templates are processes of their own instead."""
    with Bases() as bases:
        base = bases.of(fake_target(), _SETTINGS)
        assert base is not None
        base.interrupt()
        template = Host.template(fake_target(), _SETTINGS, bases)
        assert template is not None
        with template, Host(fake_target(), _SETTINGS, template=template) as host:
            assert host.is_usable


def test_what_cannot_be_imported_is_told_as_without_a_base() -> None:
    """The error is the same, typed one."""
    target = replace(fake_target(), engine="none_such")
    with Bases() as bases:
        template = Host.template(target, _SETTINGS, bases)
        assert template is not None
        with template, pytest.raises(MissingModuleError, match="none_such"):
            Host(target, _SETTINGS, template=template)


@pytest.mark.real
@pytest.mark.parametrize(
    "version", [NEWEST_RELEASE, *(pytest.param(one, marks=pytest.mark.releases) for one in _OTHERS)]
)
def test_a_worker_of_a_base_decides_works_and_imports_as_a_started_one(version: str) -> None:
    """Decisions, calls and operators of the real scheduler are equal, and so is what is known of imports."""
    cell, release = Cell(workload="agents"), prepare(f"release:{version}")

    def measure(host: Host) -> CellResult:
        result: CellResult = host.run(
            run_cell, cell, parse_workload(cell.workload), RunOptions(passes=(COUNTED,))
        )
        return result

    with boot(release, cell.engine) as host:
        started, imports = measure(host), host.run(imported_sources, reset=False)
    with Bases() as bases:
        templates = Templates(lambda target, settings: Host.template(target, settings, bases))
        try:
            with boot(release, cell.engine, templates=templates) as fork:
                forked, found = measure(fork), fork.run(imported_sources, reset=False)
        finally:
            templates.close()
    expect_same_numbers(forked, started)
    assert forked.metrics["python_calls"] == started.metrics["python_calls"]
    assert found.files == imports.files
    assert found.listed == imports.listed
    assert set(found.elsewhere) >= set(imports.elsewhere)
    assert set(found.absent) >= set(imports.absent)
