"""Two commits of a history that differ in a file no worker imports: the second sweep boots nothing."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from exhausters.sweep import workers
from exhausters.sweep.execute import LocalExecutor
from exhausters.sweep.record import CACHED_FROM, DRAINED
from exhausters.sweep.result_cache import ResultCache
from exhausters.sweep.run_options import RunOptions
from exhausters.sweep.runner import SweepOptions, sweep
from exhausters.targets import NEWEST_RELEASE, PreparedTarget, prepare
from exhausters.worker.host import Host
from tests.sweep.samples import a_grid

pytestmark = pytest.mark.real


def _git(repository: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    command = ["git", "-C", str(repository), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The newest release as a commit, then one that changes a file that is not imported, then one that is."""
    repository = tmp_path_factory.mktemp("history")
    release = prepare(f"release:{NEWEST_RELEASE}").source_dirs[0]
    shutil.copytree(
        release, repository / "python", ignore=shutil.ignore_patterns("__pycache__"), symlinks=True
    )
    _git(repository, "init", "-q", "-b", "main")
    for name, path in (
        ("release", None),
        ("unused", "bench_serving.py"),
        ("used", "srt/managers/scheduler.py"),
    ):
        if path is not None:
            with (repository / "python" / "sglang" / path).open("a") as file:
                file.write("\n# A line that changes nothing.\n")
        _git(repository, "add", "-A", "-f")
        _git(repository, "commit", "-q", "-m", name)
        _git(repository, "tag", name)
    return repository


def test_only_a_change_of_an_imported_file_boots(
    history: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unused change takes the exact result from the cache, which verifying confirms; a used one boots."""
    boots: list[str] = []
    boot = workers.boot

    def counted(target: PreparedTarget, *more: Any, **named: Any) -> Host:
        boots.append(target.name)
        return boot(target, *more, **named)

    monkeypatch.setattr(workers, "boot", counted)
    grid, options = a_grid(leave_pages=[64]), SweepOptions(run=RunOptions(count_work=True))

    def run(tag: str, verify: int = 0) -> tuple[bool, int]:
        before = len(boots)
        target = prepare(f"git:{history}@{tag}")
        executor = LocalExecutor(1, cache=ResultCache(tmp_path, verify=verify))
        (record,) = sweep(target, grid, options, executor=executor)
        assert record.result.outcome == DRAINED
        return CACHED_FROM in record.result.provenance, len(boots) - before

    assert run("release") == (False, 1)
    assert run("unused") == (True, 0)
    assert run("unused", verify=1) == (False, 1)
    assert run("used") == (False, 1)
