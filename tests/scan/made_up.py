"""Small histories, and commits whose records are made up."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from exhausters.engine.api import ImportedSources
from exhausters.scan.history import FileChange, History, HistoryCommit
from exhausters.scan.imports import ImportedSet
from exhausters.scan.summary import BROKEN, FAILED, SCANNED, CellSummary, CommitSummary

CORE = "sglang/srt/managers/scheduler.py"
OTHER = "sglang/srt/utils.py"
UNSEEN = "sglang/test/thing.py"
IMPORTED = ImportedSources(files={CORE: "1", OTHER: "2", "sglang/__init__.py": "3"}, absent=("sglang.extra",))


def commit_file(repository: Path, path: str, text: str, *, day: int, message: str) -> str:
    """Commit one file as of a day of May 2026; return the commit."""
    (repository / path).parent.mkdir(parents=True, exist_ok=True)
    (repository / path).write_text(text)
    date = f"2026-05-{day:02d}T12:00:00Z"
    environment = {**os.environ, "GIT_COMMITTER_DATE": date, "GIT_AUTHOR_DATE": date}
    identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    for arguments in (["add", "-A"], [*identity, "commit", "-q", "-m", message]):
        subprocess.run(["git", "-C", str(repository), *arguments], check=True, env=environment)
    done = ["git", "-C", str(repository), "rev-parse", "HEAD"]
    return subprocess.run(done, check=True, capture_output=True, text=True).stdout.strip()


def a_history(paths: Sequence[str]) -> History:
    """A history that is in no repository: the base, and a commit per path that changes it."""
    base = HistoryCommit(id="base", committed="2026-05-01T00:00:00Z", subject="base", changes=())
    commits = [
        HistoryCommit(
            id=f"c{number}",
            committed="2026-05-02T00:00:00Z",
            subject=f"number {number}",
            changes=(FileChange(status="M", path=path),),
        )
        for number, path in enumerate(paths, start=1)
    ]
    return History(repository=Path("nowhere"), commits=(base, *commits))


def a_summary(
    commit: str, *, decisions: str = "a", calls: float = 1000.0, status: str = SCANNED
) -> CommitSummary:
    """A summary of one cell; of a broken commit that cell has crashed."""
    if status == BROKEN:
        cell = CellSummary(workload="agents", outcome="crashed", decisions="")
        return CommitSummary(commit=commit, status=status, reason="it raised", cells={"agents/p16": cell})
    cell = CellSummary(
        workload="agents", outcome="drained", decisions=decisions, work={"python_calls_per_step": calls}
    )
    cells = {} if status == FAILED else {"agents/p16": cell}
    return CommitSummary(commit=commit, status=status, reason="so it is", seconds=1.0, cells=cells)


@dataclass
class MadeUpRuns:
    """`Runs` that say of each commit what functions of its place say.

    Attributes:
        decisions, calls: by place in the history.
        broken: places that break at once.
        failed: places that cannot be prepared.
        unlucky: those of them whose reason can pass: a network, a disk.
        asked: places in the order in which they were run.
    """

    history: History
    decisions: Callable[[int], str] = lambda place: "a"
    calls: Callable[[int], float] = lambda place: 1000.0
    broken: tuple[int, ...] = ()
    failed: tuple[int, ...] = ()
    unlucky: tuple[int, ...] = ()
    asked: list[int] = field(default_factory=list)

    def run(self, commit: str) -> tuple[CommitSummary, ImportedSet]:
        """Return the made-up summary; imports are always the same."""
        place = [one.id for one in self.history.commits].index(commit)
        self.asked.append(place)
        imported = ImportedSet()
        if place in self.failed:
            return replace(a_summary(commit, status=FAILED), can_pass=place in self.unlucky), imported
        if place in self.broken:
            return a_summary(commit, status=BROKEN), imported
        imported.add(IMPORTED)
        return a_summary(commit, decisions=self.decisions(place), calls=self.calls(place)), imported
