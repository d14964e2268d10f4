"""Exports that share their files, and are deleted again."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from exhausters.scan.exports import KEPT, Exports, discard, seed
from exhausters.targets.cache import MARKER
from exhausters.targets.fetch import fetch_commit
from exhausters.targets.git import run_git
from tests.scan.made_up import commit_file

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


def test_a_seeded_export_is_what_git_exports(repository: Path, tmp_path: Path) -> None:
    """Changed, new, deleted and renamed files; the others are the same files, and the first export stays."""
    commit_file(repository, "python/sglang/kept.py", "kept", day=1, message="kept")
    commit_file(repository, "python/sglang/gone [1].py", "gone", day=2, message="gone")
    one = commit_file(repository, _CORE, "1", day=3, message="one")
    (repository / "python/sglang/gone [1].py").rename(repository / "python/sglang/moved*.py")
    commit_file(repository, "README.md", "outside", day=4, message="outside")
    two = commit_file(repository, _CORE, "2", day=5, message="two")
    first = fetch_commit(repository, one).source_dir
    cache = first / "sglang/srt/managers/__pycache__"
    cache.mkdir()
    (cache / "scheduler.cpython-311.pyc").write_text("stale")
    (cache / "other.cpython-311.pyc").write_text("good")
    seed(repository, two, one)
    second = fetch_commit(repository, two).source_dir
    run_git(["-C", str(repository), "worktree", "add", "-q", "--detach", str(tmp_path / "plain"), two])
    assert _files(second) == _files(tmp_path / "plain" / "python")
    assert _files(first)["sglang/srt/managers/scheduler.py"] == "1"
    assert (second / "sglang/kept.py").samefile(first / "sglang/kept.py")
    compiled = [path.name for path in (second / "sglang/srt/managers/__pycache__").iterdir()]
    assert compiled == ["other.cpython-311.pyc"]


def test_a_deleted_export_leaves_its_neighbours_whole(repository: Path) -> None:
    """Files that two exports share stay for the other one."""
    one = commit_file(repository, "python/sglang/kept.py", "kept", day=1, message="one")
    two = commit_file(repository, _CORE, "2", day=2, message="two")
    first = fetch_commit(repository, one).source_dir
    seed(repository, two, one)
    discard(one)
    assert not first.exists()
    assert _files(fetch_commit(repository, two).source_dir)["sglang/kept.py"] == "kept"


def test_only_what_a_scan_exported_is_deleted(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was in the cache before stays; a few of the scan's own stay until it ends."""
    commits = [commit_file(repository, _CORE, str(day), day=day, message=str(day)) for day in range(1, 9)]
    before = fetch_commit(repository, commits[0]).source_dir
    monkeypatch.setattr(
        "exhausters.scan.exports.prepare",
        lambda target, on_progress=None: fetch_commit(repository, target.rpartition("@")[2]),
    )
    places = {commit: place for place, commit in enumerate(commits)}
    exports = Exports(repository=repository, places=places)
    for commit in commits:
        exports.prepare(f"git:{repository}@{commit}", commit)
        exports.let_go()
    assert len([path for path in before.parent.iterdir() if path.is_dir()]) == KEPT + 1
    exports.close()
    assert [path for path in before.parent.iterdir() if path.is_dir()] == [before]
