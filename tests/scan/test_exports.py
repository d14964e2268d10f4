"""Exports that share their files, and are deleted again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from exhausters.scan.exports import KEPT, Exports, discard
from exhausters.targets.cache import MARKER
from exhausters.targets.fetch import fetch_commit
from tests.scan.made_up import commit_file

# Claims a folder until its input ends.
_CLAIMS = """
import pathlib, sys
from exhausters.targets.claims import claim
claim(pathlib.Path(sys.argv[1]))
print("claimed", flush=True)
sys.stdin.read()
"""
_CORE = "python/sglang/srt/managers/scheduler.py"


@pytest.fixture(name="repository")
def _repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EXHAUSTERS_CACHE", str(tmp_path / "cache"))
    repository = tmp_path / "repository"
    subprocess.run(["git", "init", "-q", "-b", "main", str(repository)], check=True)
    return repository


def _files(folder: Path) -> dict[str, str]:
    found = [path for path in folder.rglob("*") if path.is_file() and path.name != MARKER]
    return {str(path.relative_to(folder)): path.read_text() for path in found if path.suffix != ".pyc"}


def test_a_deleted_export_leaves_its_neighbours_whole(repository: Path) -> None:
    """Files that two exports share stay for the other one."""
    one = commit_file(repository, "python/sglang/kept.py", "kept", day=1, message="one")
    two = commit_file(repository, _CORE, "2", day=2, message="two")
    first = fetch_commit(repository, one).source_dir
    second = fetch_commit(repository, two).source_dir
    assert (second / "sglang/kept.py").samefile(first / "sglang/kept.py")
    discard(one)
    assert not first.exists()
    assert _files(second)["sglang/kept.py"] == "kept"


def test_an_export_that_another_process_uses_stays(repository: Path) -> None:
    """A comparison that runs beside the scan keeps its sources; once it has ended they can go."""
    commit = commit_file(repository, _CORE, "1", day=1, message="one")
    folder = fetch_commit(repository, commit).source_dir
    program = [sys.executable, "-c", _CLAIMS, str(folder)]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"claimed\n"
        assert not discard(commit)
        assert _files(folder)
        other.communicate()
    assert discard(commit)
    assert not folder.exists()


def test_only_what_a_scan_exported_is_deleted(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was in the cache before stays; a few of the scan's own stay until it ends."""
    commits = [commit_file(repository, _CORE, str(day), day=day, message=str(day)) for day in range(1, 9)]
    before = fetch_commit(repository, commits[0]).source_dir
    monkeypatch.setattr(
        "exhausters.scan.exports.prepare",
        lambda target, on_progress=None: fetch_commit(repository, target.rpartition("@")[2]),
    )
    exports = Exports()
    for commit in commits:
        exports.prepare(f"git:{repository}@{commit}", commit)
        exports.let_go()
    assert len([path for path in before.parent.iterdir() if path.is_dir()]) == KEPT + 1
    exports.close()
    assert [path for path in before.parent.iterdir() if path.is_dir()] == [before]
