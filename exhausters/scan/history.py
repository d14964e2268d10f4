"""A line of first parents with what each commit changed. Only reads the repository."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from exhausters.errors import UsageError
from exhausters.targets.git import git_dir, resolve_commit, run_git

# What `git:` targets are exported from; paths of changes are relative to it.
SOURCE_FOLDER = "python/"
# Where the scheduler and its caches are: what changes them is scanned first.
CORE_FOLDERS = ("sglang/srt/managers/", "sglang/srt/mem_cache/")
_MARK = "\x01"
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChange:
    """One file that a commit changed.

    Attributes:
        status: git's letter: `A` added, `D` deleted, `M` modified, `T` of another type.
        path: relative to the folder that contains `sglang/`.
    """

    status: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryCommit:
    """A commit of the line.

    Attributes:
        id: 40 hexadecimal digits.
        committed: when, in ISO 8601.
        subject: first line of its message.
        changes: files below `python/` that differ from its first parent, renames as two changes.
    """

    id: str
    committed: str
    subject: str
    changes: tuple[FileChange, ...]

    @property
    def is_core(self) -> bool:
        """Whether it changes the scheduler or its caches."""
        return any(one.path.startswith(CORE_FOLDERS) for one in self.changes)

    @property
    def title(self) -> str:
        """Short id, day and subject."""
        return f"{self.id[:10]} {self.day} {self.subject}"

    @property
    def day(self) -> str:
        """Day of the commit, in UTC, as that of `--since` is."""
        return str(datetime.fromisoformat(self.committed).astimezone(UTC).date())


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """First parents, oldest first.

    Attributes:
        repository: folder that a `git:` target names.
        commits: first the last commit before the range, which the next one is compared with.
    """

    repository: Path
    commits: tuple[HistoryCommit, ...]

    def target(self, commit: str) -> str:
        """Return the text of a commit's target."""
        return f"git:{self.repository}@{commit}"


def read_history(repository: Path, *, since: str, until: str) -> History:
    """Return the first parents of `until` that were committed at or after `since`, and the one before them.

    Args:
        repository: a clone or a mirror, bare or not.
        since: a day such as 2026-05-01, which begins at midnight UTC, or any time that git reads.
        until: a commit, tag or branch.

    Raises:
        UsageError: no repository, no such commit, or none since then.
        TargetError: git cannot read the repository.
    """
    repository, last = _last(repository, until)
    # git adds the present time of day to a day alone.
    moment = f"{since}T00:00:00Z" if _DAY.fullmatch(since) else since
    commits = _log(repository, f"--since={moment}", last)
    if not commits:
        raise UsageError(f"--since {since}: no first parent of {until} is that new; expected an earlier day")
    return _history(repository, commits)


def history_behind(repository: Path, first: str, *, until: str) -> History:
    """Return the commit `first` and the first parents of `until` behind it; raises as `read_history`."""
    repository, last = _last(repository, until)
    commits = _log(repository, f"{first}..{last}")
    if not commits:
        raise UsageError(f"--until {until}: is not behind {first[:10]}, the first commit of the scan")
    return _history(repository, commits)


def _last(repository: Path, until: str) -> tuple[Path, str]:
    repository = repository.expanduser().absolute()
    found = git_dir(repository)
    if found is None:
        raise UsageError(f"--repo {repository}: no git repository; expected a clone or a mirror of SGLang")
    last = resolve_commit(found, until)
    if last is None:
        raise UsageError(f"--until {until!r}: names no commit in {repository}; expected one that is there")
    return repository, last


def _log(repository: Path, *which: str) -> tuple[tuple[HistoryCommit, str], ...]:
    git = ["-C", str(repository), "-c", "core.quotePath=false", "log", "--first-parent"]
    shown = ["-m", "--no-renames", "--name-status", f"--format={_MARK}%H%x09%P%x09%cI%x09%s"]
    return tuple(_commits(run_git([*git, *shown, *which])))


def _history(repository: Path, newest_first: Sequence[tuple[HistoryCommit, str]]) -> History:
    parsed = tuple(commit for commit, _ in reversed(newest_first))
    return History(repository=repository, commits=(*_base(repository, newest_first[-1][1]), *parsed))


def _base(repository: Path, parents: str) -> tuple[HistoryCommit, ...]:
    """The commit before the range; none where the range begins with a root."""
    if not parents:
        return ()
    git = ["-C", str(repository), "log", "-1", f"--format={_MARK}%H%x09%P%x09%cI%x09%s"]
    return tuple(commit for commit, _ in _commits(run_git([*git, parents.split()[0]])))


def _commits(text: str) -> Iterator[tuple[HistoryCommit, str]]:
    """Parse what git printed, newest first; each commit with its parents."""
    for block in text.split(_MARK)[1:]:
        head, *lines = block.splitlines()
        commit, parents, committed, subject = head.split("\t", 3)
        yield (
            HistoryCommit(id=commit, committed=committed, subject=subject, changes=tuple(_changes(lines))),
            parents,
        )


def _changes(lines: Sequence[str]) -> Iterator[FileChange]:
    for line in lines:
        status, _, path = line.partition("\t")
        if path.startswith(SOURCE_FOLDER):
            yield FileChange(status=status[:1], path=path.removeprefix(SOURCE_FOLDER))
