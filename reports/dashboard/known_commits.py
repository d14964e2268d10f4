"""Names of commits for results that hold none, such as asv's, from a repository that has them."""

from __future__ import annotations

from pathlib import Path

from exhausters.errors import TargetError
from exhausters.targets.git import run_git
from reports.dashboard.builds import KnownCommit
from reports.render.history_table import tags_of


def known_commits(repository: Path) -> dict[str, KnownCommit]:
    """Return the commits of a bare repository by their full ids; none where there is no such repository."""
    if not repository.exists():
        return {}
    try:
        lines = run_git([f"--git-dir={repository}", "log", "--all", "--format=%H%x09%s"]).splitlines()
    except TargetError:
        return {}
    tags = tags_of(repository)
    subjects = dict(line.split("\t", 1) for line in lines)
    return {
        commit: KnownCommit(tag=tags.get(commit, ""), subject=subject) for commit, subject in subjects.items()
    }
