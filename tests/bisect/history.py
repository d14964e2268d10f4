"""Small repositories, and commits whose records are made up."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from exhausters.bisect.question import Records
from exhausters.bisect.state import BisectFolder
from exhausters.errors import TargetError
from exhausters.observe.decision_log import DecisionLog
from exhausters.observe.step_record import IDLE, StepRecord
from exhausters.sweep.record import DRAINED
from tests.sweep.samples import a_grid, a_record


def git(repository: Path, *arguments: str) -> str:
    """Run git as somebody without settings of their own."""
    identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    command = ["git", "-C", str(repository), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def a_history(repository: Path, count: int) -> list[str]:
    """Make commits 0 to `count` - 1 on main, the file `python/sglang/number` with each one's number."""
    (repository / "python" / "sglang" / "srt").mkdir(parents=True)
    git(repository, "init", "-q", "-b", "main")
    commits = []
    for number in range(count):
        (repository / "python" / "sglang" / "number").write_text(f"{number}\n")
        git(repository, "add", "-A")
        git(repository, "commit", "-q", "-m", f"number {number}")
        commits.append(git(repository, "rev-parse", "HEAD"))
    return commits


@dataclass
class MadeUpRuns:
    """`CommitRuns` whose records say what a function of the commit's place says.

    Attributes:
        value: the metric `evicted_tokens` and the number of steps, by place.
        broken: places that cannot be prepared.
        error: why not.
        without_metric: places whose cells have no such metric.
        outcome: of a commit's cells, by place.
        asked: places in the order in which their records were asked for.
    """

    commits: list[str]
    value: Callable[[int], int]
    broken: tuple[int, ...] = ()
    error: type[TargetError] = TargetError
    without_metric: tuple[int, ...] = ()
    outcome: Callable[[int], str] = lambda place: DRAINED
    asked: list[int] = field(default_factory=list)

    def records(self, commit: str) -> Records:
        """One record per cell of a grid of two."""
        place = self.commits.index(commit)
        self.asked.append(place)
        if place in self.broken:
            raise self.error("no such pins\nmore")
        value = self.value(place)
        log = DecisionLog(tuple(StepRecord(step=step, mode=IDLE) for step in range(value)))
        metrics = {} if place in self.without_metric else {"evicted_tokens": value}
        made = (
            a_record(cell, outcome=self.outcome(place), reason="so it is", **metrics)
            for cell in a_grid(leave_pages=["all", 64]).cells
        )
        return tuple(replace(one, result=replace(one.result, log=log)) for one in made)


def a_folder(path: Path) -> BisectFolder:
    """The state of a new bisection."""
    path.mkdir(exist_ok=True)
    return BisectFolder(path, {"question": "made up"})
