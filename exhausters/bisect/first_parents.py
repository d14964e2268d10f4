"""The commits between two ends of a history, along first parents. Only reads the repository."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from exhausters.errors import UsageError
from exhausters.targets.git import git_dir, resolve_commit, run_git

_SHORT = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstParents:
    """A line of commits.

    Attributes:
        repository: folder that a `git:` target names.
        good: the commit before the first one; 40 hexadecimal digits.
        commits: all after it, oldest first; the last one is the bad end.
    """

    repository: Path
    good: str
    commits: tuple[str, ...]

    @property
    def bad(self) -> str:
        """The last commit."""
        return self.commits[-1]

    def target(self, commit: str) -> str:
        """Return the text of a commit's target."""
        return f"git:{self.repository}@{commit}"

    def title(self, commit: str) -> str:
        """Return short id, date and subject."""
        return self._git("show", "--no-patch", f"--abbrev={_SHORT}", "--format=%h %cs %s", commit)

    def between(self, good: str, bad: str) -> tuple[str, ...]:
        """Return what is left when `good` is the last good and `bad` the first bad commit, `bad` included."""
        first = 0 if good == self.good else self.commits.index(good) + 1
        return self.commits[first : self.commits.index(bad) + 1]

    def middle(self, good: str, bad: str, skipped: Collection[str]) -> str | None:
        """Return the commit that git would test next; None when no untested one is left.

        It is the one of git's list that halves the range best and is not skipped.
        """
        left = set(self.between(good, bad)) - set(skipped) - {bad}
        listed = self._git("rev-list", "--bisect-all", "--first-parent", bad, f"^{good}")
        return next((line[:40] for line in listed.splitlines() if line[:40] in left), None)

    def _git(self, *arguments: str) -> str:
        return run_git(["-C", str(self.repository), *arguments])


def first_parents(repository: Path, good: str, bad: str) -> FirstParents:
    """Return the line from GOOD to BAD.

    Raises:
        UsageError: no repository, no such commit, or GOOD is not on the line of BAD's first parents.
        TargetError: git cannot read the repository.
    """
    repository = repository.expanduser().absolute()
    found = git_dir(repository)
    if found is None:
        raise UsageError(
            f"--repo {repository}: no git repository; expected a clone of SGLang, or the history of releases "
            "that `exhausters mirror 0.5.20..0.5.23` makes"
        )
    ends = []
    for name, revision in (("GOOD", good), ("BAD", bad)):
        commit = resolve_commit(found, revision)
        if commit is None:
            raise UsageError(f"{name}={revision!r}: names no commit in {repository}; {_expected(revision)}")
        ends.append(commit)
    start, end = ends
    line = run_git(["-C", str(repository), "rev-list", "--first-parent", end]).splitlines()
    if start not in line or start == end:
        raise UsageError(_refusal(repository, good, bad, start, end, line))
    return FirstParents(repository=repository, good=start, commits=tuple(reversed(line[: line.index(start)])))


def _expected(revision: str) -> str:
    version = revision.removeprefix("release:").removeprefix("v")
    if not re.fullmatch(r"\d+\.\d+.*", version):
        return "expected one that is there"
    return (
        f"releases are the tags v{version} and so on of the history that `exhausters mirror` makes "
        f"(`exhausters mirror 0.5.20..{version}`)"
    )


def _refusal(repository: Path, good: str, bad: str, start: str, end: str, line: list[str]) -> str:
    if start == end:
        return f"GOOD={good!r} and BAD={bad!r} are the same commit {start[:_SHORT]}; expected two"
    text = f"GOOD={good!r} is no ancestor of BAD={bad!r} along first parents; "
    known = set(line)
    above = run_git(["-C", str(repository), "rev-list", "--first-parent", start]).splitlines()
    if end in above:
        return text + "it is a descendant: expected the older commit first"
    shared = next((commit for commit in above if commit in known), None)
    if shared is None:
        return text + "expected two commits of one line"
    return text + f"expected two commits of one line, such as {shared[:_SHORT]}, where theirs part, and {bad}"
