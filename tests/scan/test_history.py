"""A history read from a repository."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from exhausters.errors import UsageError
from exhausters.scan.history import read_history
from tests.scan.made_up import commit_file


@pytest.fixture(name="repository")
def _repository(tmp_path: Path) -> Path:
    subprocess.run(["git", "init", "-q", "-b", "main", str(tmp_path)], check=True)
    return tmp_path


def test_commits_come_oldest_first_with_what_they_changed(repository: Path) -> None:
    """The commit before the first day leads, paths are those below python/, others are left out."""
    commit_file(repository, "python/sglang/srt/managers/scheduler.py", "1", day=1, message="one")
    two = commit_file(repository, "python/sglang/srt/managers/scheduler.py", "2", day=2, message="two (#2)")
    three = commit_file(repository, "docs/a b.md", "3", day=3, message="three\ttab")
    four = commit_file(repository, "python/sglang/new.py", "4", day=4, message="four")
    history = read_history(repository, since="2026-05-03", until="main")
    assert [one.id for one in history.commits] == [two, three, four]
    assert history.commits[0].changes == ()
    assert history.commits[1].changes == ()
    assert history.commits[1].subject == "three\ttab"
    assert [(one.status, one.path) for one in history.commits[2].changes] == [("A", "sglang/new.py")]
    first = read_history(repository, since="2026-05-02", until="main").commits[1]
    assert (first.id, first.is_core, first.subject) == (two, True, "two (#2)")


def test_a_day_begins_at_midnight(repository: Path) -> None:
    """Whatever time of day it is now, a commit of that day's noon is in the range."""
    commit_file(repository, "a", "1", day=1, message="one")
    two = commit_file(repository, "a", "2", day=2, message="two")
    assert read_history(repository, since="2026-05-02", until="main").commits[-1].id == two


def test_a_range_that_is_not_there_is_refused(
    repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """No repository, no commit, and a day after the last commit, each by name."""
    commit_file(repository, "a", "1", day=1, message="one")
    with pytest.raises(UsageError, match="--until 'nowhere': names no commit"):
        read_history(repository, since="2026-05-01", until="nowhere")
    with pytest.raises(UsageError, match="--since 2026-05-02: no first parent"):
        read_history(repository, since="2026-05-02", until="main")
    with pytest.raises(UsageError, match="no git repository"):
        read_history(tmp_path_factory.mktemp("empty"), since="2026-05-01", until="main")
