"""The records of one commit: read from the bisection's folder, taken from the cache, or run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from exhausters.bisect.doubt import confirmed, is_doubtful
from exhausters.bisect.first_parents import FirstParents
from exhausters.bisect.question import Records
from exhausters.bisect.state import BisectFolder
from exhausters.errors import StoreError
from exhausters.sweep.cell import Cell
from exhausters.sweep.execute import Executor
from exhausters.sweep.grid import Grid
from exhausters.sweep.read_records import read_records
from exhausters.sweep.record import RunRecord
from exhausters.sweep.result_cache import is_cached
from exhausters.sweep.runner import SweepOptions, sweep
from exhausters.sweep.store import RecordWriter, sweep_writer
from exhausters.targets import PreparedTarget, prepare
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
    """Runs commits of a history; each cell of a commit once per folder, unless a run is doubtful."""

    line: FirstParents
    grid: Grid
    options: SweepOptions
    executor: Executor
    state: BisectFolder
    on_progress: Progress | None = None

    def records(self, commit: str) -> Records:
        """Return a commit's records; raises TargetError if it cannot be prepared.

        A cell that the machine may have stopped runs once more, and again in a later call of the command.
        """
        folder = self.state.records_folder(commit)
        known = _settled(folder)
        missing = [cell for cell in self.grid.cells if cell.id not in known]
        if missing:
            target = prepare(self.line.target(commit), on_progress=self.on_progress)
            settled = tuple(known.values())
            with sweep_writer(folder, target=target, grid=self.grid, keep=lambda _: settled) as writer:
                ran = self._run(target, missing, writer)
                for record in filter(is_doubtful, tuple(ran.values())):
                    again = self._run(target, [record.cell], writer)[record.cell.id]
                    ran[record.cell.id] = confirmed(record, again)
                    writer.add(ran[record.cell.id])
                writer.finish()
            if not all(map(is_cached, ran.values())):
                self.state.note_boot(commit)
            known |= ran
        return tuple(known[cell.id] for cell in self.grid.cells)

    def _run(
        self, target: PreparedTarget, cells: Sequence[Cell], writer: RecordWriter
    ) -> dict[str, RunRecord]:
        grid = replace(self.grid, cells=tuple(cells))
        records = sweep(target, grid, self.options, executor=self.executor, on_record=writer.add)
        return {record.cell.id: record for record in records}


def _settled(folder: Path) -> dict[str, RunRecord]:
    """Records of an earlier call by cell, without those that say nothing of the commit."""
    try:
        stored = read_records(folder)
    except StoreError:
        return {}
    return {record.cell.id: record for record in stored.records if not is_doubtful(record)}
