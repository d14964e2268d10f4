"""What a repository tells of the commits that were measured: their order, dates, subjects and tags."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from exhausters.errors import TargetError, UsageError
from exhausters.targets.git import git_dir, run_git
from reports.load.frame import Results
from reports.vocabulary import OUTCOME


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownCommit:
    """What a repository tells of a commit.

    Attributes:
        place: its number in the repository's order, in which each commit comes behind its parents; commits
            of two lines by their dates.
        committed: when it was committed; UTC.
        tag: one of its tags; empty without one.
        subject: the first line of its message.
    """

    place: int = 0
    committed: datetime | None = None
    tag: str = ""
    subject: str = ""


def known_commits(repository: Path) -> dict[str, KnownCommit]:
    """Return the commits that a repository has on its branches and tags, and before its HEAD, by full id.

    Args:
        repository: a clone or a mirror, bare or not.

    Raises:
        UsageError: it is no repository.
        TargetError: git cannot read it.
    """
    found = git_dir(repository)
    if found is None:
        raise UsageError(f"--repo {repository}: no git repository; expected a clone or a mirror of SGLang")
    shown = ["--all", "--date-order", "--reverse", "--format=%H%x09%ct%x09%s"]
    lines = run_git([f"--git-dir={found}", "log", *shown]).splitlines()
    tags = _tags(found)
    commits = {}
    for place, line in enumerate(lines):
        commit, seconds, subject = line.split("\t", 2)
        committed = datetime.fromtimestamp(int(seconds), UTC)
        commits[commit] = KnownCommit(
            place=place, committed=committed, tag=tags.get(commit, ""), subject=subject
        )
    return commits


def in_their_order(results: Results, known: Mapping[str, KnownCommit]) -> Results:
    """Return results whose builds have the places and the dates of their commits, where these are known."""
    frame = results.frame
    commits = frame["commit"].astype(object).map(known.get, na_action="ignore")
    places = commits.map(lambda one: one.place, na_action="ignore").astype("Int64")
    dates = pd.to_datetime(commits.map(lambda one: one.committed, na_action="ignore"), utc=True)
    committed = dates.astype(frame["committed"].dtype).fillna(frame["committed"])
    frame = frame.assign(place=places, committed=committed, date=committed.fillna(frame["date"]))
    return Results(frame=frame, sessions=results.sessions, skipped=results.skipped, axes=results.axes)


def unknown_commits(results: Results, known: Mapping[str, KnownCommit]) -> str:
    """Return in words how many commits of the results are not known, and one of them; empty for none."""
    rows = results.frame.loc[results.frame["metric"] == OUTCOME, "commit"]
    measured = list(dict.fromkeys(rows.astype(object).dropna()))
    unknown = [commit for commit in measured if commit not in known]
    if not unknown:
        return ""
    return f"{len(unknown)} of the {len(measured)} commits measured, such as {unknown[0][:9]}"


def _tags(git: Path) -> dict[str, str]:
    """Tags by commit."""
    try:
        refs = run_git([f"--git-dir={git}", "show-ref", "--tags", "--dereference"])
    except TargetError:  # git calls it a failure that there is no tag
        return {}
    pairs = (line.split(" ", 1) for line in refs.splitlines())
    return {commit: ref.removeprefix("refs/tags/").removesuffix("^{}") for commit, ref in pairs}
