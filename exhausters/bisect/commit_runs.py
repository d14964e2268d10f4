"""The records of one commit: read from the bisection's folder, taken from the cache, or run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from exhausters.bisect.first_parents import FirstParents
from exhausters.bisect.question import Records
from exhausters.bisect.state import BisectFolder
from exhausters.errors import StoreError
from exhausters.sweep.execute import Executor
from exhausters.sweep.grid import Grid
from exhausters.sweep.read_records import read_records
from exhausters.sweep.result_cache import is_cached
from exhausters.sweep.runner import SweepOptions, sweep
from exhausters.sweep.store import sweep_writer
from exhausters.targets import prepare
from exhausters.targets.cache import Progress


class CommitRuns(Protocol):
    """Gives the records of commits."""

    def records(self, commit: str) -> Records:
        """Return a commit's records in the grid's order.

        Raises:
            TargetError: the commit cannot be prepared.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class SweptCommits:
    """Runs commits of a history; each commit once per folder."""

    line: FirstParents
    grid: Grid
    options: SweepOptions
    executor: Executor
    state: BisectFolder
    on_progress: Progress | None = None

    def records(self, commit: str) -> Records:
        """Return a commit's records; raises TargetError if it cannot be prepared."""
        folder = self.state.records_folder(commit)
        known = _complete(folder)
        if known is not None:
            return known
        target = prepare(self.line.target(commit), on_progress=self.on_progress)
        with sweep_writer(folder, target=target, grid=self.grid) as writer:
            records = sweep(target, self.grid, self.options, executor=self.executor, on_record=writer.add)
            writer.finish()
        if not all(map(is_cached, records)):
            self.state.note_boot(commit)
        return records


def _complete(folder: Path) -> Records | None:
    """Records of an earlier call; None when it was interrupted."""
    try:
        stored = read_records(folder)
    except StoreError:
        return None
    return stored.records if stored.is_complete else None
