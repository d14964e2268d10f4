"""asv's environments: one per grid, on the harness's own Python, each commit a target."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from asv import environment as asv_environment
from asv import util
from asv.console import log

from exhausters.asv_suite import environment as module
from exhausters.asv_suite.environment import TargetEnvironment
from exhausters.asv_suite.state import TargetState
from exhausters.asv_suite.suite_grid import GRID_VARIABLE
from exhausters.errors import TargetSpecError

_PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"


def _conf(folder: Path, repo: str) -> Any:
    return SimpleNamespace(
        repo=repo,
        project="sglang",
        env_dir=str(folder / "env"),
        repo_subdir="",
        install_timeout=1,
        default_benchmark_timeout=1,
        build_cache_size=0,
        build_command=None,
        install_command=None,
        uninstall_command=None,
    )


def _environment(folder: Path, repo: str = "", python: str = _PYTHON) -> TargetEnvironment:
    return TargetEnvironment(_conf(folder, repo or str(folder)), python, {}, {})


def test_another_python_is_refused(tmp_path: Path) -> None:
    """The harness and its workers share one version; asv is told before it makes anything."""
    assert TargetEnvironment.matches(_PYTHON)
    assert not TargetEnvironment.matches("2.7")
    with pytest.raises(asv_environment.EnvironmentUnavailable, match=r"python 2\.7"):
        _environment(tmp_path, python="2.7")


def test_a_repository_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """With the command that makes one; a remote one is taken from the mirror that asv keeps of it."""
    with pytest.raises(util.UserError, match="exhausters mirror --into nowhere"):
        _environment(tmp_path, "nowhere")
    remote = _environment(tmp_path, "https://host/sglang.git")
    assert remote._repository.name == "sglang"


def test_grids_do_not_share_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """asv names its result files after the environment: another grid has another name."""
    monkeypatch.setenv(GRID_VARIABLE, "quick")
    quick = _environment(tmp_path).name
    monkeypatch.setenv(GRID_VARIABLE, "short")
    assert _environment(tmp_path).name != quick


def test_a_commit_becomes_a_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Benchmarks, in processes of their own, find the commit that was installed last; asv may always ask."""
    made = []
    monkeypatch.setattr(module, "prepare", lambda target, on_progress: made.append(target))
    one = _environment(tmp_path)
    one._setup()
    one.install_project(None, None, "c0ffee")
    monkeypatch.setenv("ASV_ENV_DIR", one._path)
    assert TargetState.read() == TargetState(repository=str(tmp_path), commit="c0ffee")
    assert made == [TargetState.read().target]
    assert one.installed_commit_hash is None


def test_a_commit_that_cannot_be_prepared_is_no_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The history goes on: asv is warned, and the benchmarks record the commit as broken."""
    warned: list[str] = []

    def prepare(target: str, on_progress: Any) -> None:
        raise TargetSpecError("no such commit")

    monkeypatch.setattr(module, "prepare", prepare)
    monkeypatch.setattr(log, "warning", warned.append)
    one = _environment(tmp_path)
    one._setup()
    one.install_project(None, None, "c0ffee")
    assert len(warned) == 1
    assert "no such commit" in warned[0]
    monkeypatch.setenv("ASV_ENV_DIR", one._path)
    assert TargetState.read().commit == "c0ffee"


def test_asv_keeps_its_notes_where_it_looks_for_them(tmp_path: Path) -> None:
    """An environment is there once asv has written into its folder, and not before."""
    one = _environment(tmp_path)
    assert not one.check_presence()
    one._setup()
    (Path(one._path) / "asv-env-info.json").write_text("{}")
    assert one.check_presence()


def test_only_the_harness_s_python_is_run(tmp_path: Path) -> None:
    """A value that stands in a sweep is looked up without a process; everything else runs in this Python."""
    one = _environment(tmp_path)
    assert one.find_executable("python") == sys.executable
    with pytest.raises(OSError, match="pip"):
        one.find_executable("pip")


def test_a_swept_value_needs_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that only reads is answered here, in its own folder; any other is handed to Python."""
    one = _environment(tmp_path)
    reading = SimpleNamespace(run=lambda folder: f"read in {folder}")
    monkeypatch.setattr(module, "parse_read_command", lambda args: reading if args == ["read"] else None)
    monkeypatch.setattr(one, "run_executable", lambda program, args, **more: (program, args, more))
    assert one.run(["read"], cwd=str(tmp_path)) == f"read in {tmp_path}"
    assert one.run(["other"], cwd="x") == ("python", ["other"], {"cwd": "x"})
