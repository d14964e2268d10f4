"""Which run each remote place makes next, and which are made again because their place was lost."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from exhausters.errors import PlaceLostError, UsageError
from exhausters.sweep.failure import failed_result
from exhausters.sweep.plan import PlannedRun, Task
from exhausters.sweep.record import RunRecord

# A run that ends the process it runs in would end every other one: it is tried in this many of them.
MAX_TRIES = 3


@dataclass(slots=True)
class _Rest:
    """What is left of a task, its next run first, and how often that run was lost."""

    runs: deque[PlannedRun]
    losses: int = 0


class RemoteTasks:
    """Hands the runs of tasks to places, one at a time; those of one task stay in one place, in order.

    A place is whatever the caller names it by. When one is lost, what is left of its task goes to the place
    that asks next.
    """

    def __init__(self, tasks: Sequence[Task], *, max_tries: int = MAX_TRIES) -> None:
        """Take the tasks in their order.

        Raises:
            UsageError: runs of pairs; both builds of a pair must share a core.
        """
        if any(run.boot or run.is_warm_up for task in tasks for run in task.runs):
            raise UsageError(
                "pairs of builds on remote workers: both sides of a pair must share a core; run pairs locally"
            )
        self._waiting = deque(_Rest(deque(task.runs)) for task in tasks)
        self._held: dict[Hashable, _Rest] = {}
        self._max_tries = max_tries

    @property
    def is_finished(self) -> bool:
        """Whether every run has ended or was given up."""
        return not self._waiting and not self._held

    @property
    def waiting_count(self) -> int:
        """How many places that ask would be given something."""
        return len(self._waiting)

    def next_run(self, place: Hashable) -> PlannedRun | None:
        """Return what a place runs next: of the task it has, else of one that waits; None if none does."""
        if place not in self._held:
            if not self._waiting:
                return None
            self._held[place] = self._waiting.popleft()
        return self._held[place].runs[0]

    def ended(self, place: Hashable) -> None:
        """Be told that a place has made its run."""
        rest = self._held[place]
        rest.losses = 0
        self._drop_first(place, rest)

    def lost(self, place: Hashable, why: str) -> RunRecord | None:
        """Be told that a place is no more; return the record of its run if that was tried often enough."""
        rest = self._held.get(place)
        if rest is None:
            return None
        rest.losses += 1
        run = rest.runs[0]
        if rest.losses < self._max_tries:
            self._waiting.appendleft(self._held.pop(place))
            return None
        rest.losses = 0
        self._drop_first(place, rest)
        if place in self._held:
            self._waiting.appendleft(self._held.pop(place))
        error = PlaceLostError(f"lost {self._max_tries} times while this cell ran; the last time: {why}")
        result = failed_result(error, run.cell, run.workload, run.options)
        return RunRecord(cell=run.cell, target=run.target.name, result=result)

    def _drop_first(self, place: Hashable, rest: _Rest) -> None:
        rest.runs.popleft()
        if not rest.runs:
            del self._held[place]
