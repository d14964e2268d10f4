"""Runs the grid on one commit: prepare, boot, run, write, summarise."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from exhausters.errors import SeamError, TargetError, WorkerCrashedError
from exhausters.scan.exports import Exports
from exhausters.scan.history import History
from exhausters.scan.imports import ImportedSet, ImportsSeen
from exhausters.scan.state import ScanFolder
from exhausters.scan.summary import FAILED, CommitSummary, summary_of
from exhausters.sweep.execute import LocalExecutor
from exhausters.sweep.grid import Grid
from exhausters.sweep.record import OUT_OF_MEMORY, TIMEOUT, RunRecord
from exhausters.sweep.run_options import COUNTED, DECIDE, RunOptions
from exhausters.sweep.runner import SweepOptions, sweep
from exhausters.sweep.store import sweep_writer
from exhausters.targets import PreparedTarget
from exhausters.worker.bases import Bases

# A cell of the grid takes well under a second; one that hangs must not take minutes from each commit.
CELL_TIMEOUT_SECONDS = 120.0


class Runs(Protocol):
    """Tries commits."""

    def run(self, commit: str) -> tuple[CommitSummary, ImportedSet]:
        """Return what became of a commit, and what its workers imported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanRuns:
    """Runs commits of a history, one after another; records go to the scan's folder.

    Attributes:
        history: the line.
        grid: the cells.
        state: the folder.
        exports: what prepares commits.
        workers: schedulers side by side; None for one per core.
        bases: what the workers of all commits are forked from.
    """

    history: History
    grid: Grid
    state: ScanFolder
    exports: Exports
    workers: int | None = None
    bases: Bases

    def run(self, commit: str) -> tuple[CommitSummary, ImportedSet]:
        """Return what became of a commit; one that cannot be prepared has failed."""
        began = time.monotonic()
        seen = ImportsSeen()
        try:
            ready = self.exports.prepare(self.history.target(commit), commit)
            records, is_doubtful = self._swept(commit, ready, seen), False
            if any(map(_may_be_the_machine, records)):
                before, records = records, self._swept(commit, ready, seen)
                is_doubtful = any(map(_may_be_the_machine, records)) and not _ended_alike(before, records)
        except TargetError as error:
            failed = CommitSummary(
                commit=commit,
                status=FAILED,
                reason=f"{type(error).__name__}: {str(error).partition(chr(10))[0]}",
                seconds=time.monotonic() - began,
                # What its sources lack stays so; a full disk or a network does not.
                can_pass=not isinstance(error, SeamError),
            )
            return failed, seen.imported
        finally:
            self.exports.let_go()
        summary = summary_of(commit, records, time.monotonic() - began)
        return replace(summary, can_pass=is_doubtful), seen.imported

    def _swept(self, commit: str, ready: PreparedTarget, seen: ImportsSeen) -> Sequence[RunRecord]:
        """Run the grid; the records take the place of earlier ones."""
        options = SweepOptions(
            cell_timeout_seconds=CELL_TIMEOUT_SECONDS, run=RunOptions(passes=(DECIDE, COUNTED))
        )
        with sweep_writer(self.state.records_folder(commit), target=ready, grid=self.grid) as writer:
            records = sweep(
                ready,
                self.grid,
                options,
                executor=LocalExecutor(self.workers, cache=seen, bases=self.bases),
                on_record=writer.add,
            )
            writer.finish()
        return records


def _may_be_the_machine(record: RunRecord) -> bool:
    """Whether a run ended in a way that a busy machine can be to blame for: it is tried once more."""
    ended = record.result.outcome in (TIMEOUT, OUT_OF_MEMORY)
    return ended or record.result.reason.startswith(WorkerCrashedError.__name__)


def _ended_alike(before: Sequence[RunRecord], after: Sequence[RunRecord]) -> bool:
    """Whether both tries of a commit ended after the very same steps, which no busy machine brings about."""
    ours, theirs = ({one.cell.id: _end(one) for one in records} for records in (before, after))
    return ours == theirs


def _end(record: RunRecord) -> tuple[str, str]:
    return record.result.outcome, record.result.log.digest
