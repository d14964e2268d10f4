"""Progress of a sweep, cell by cell."""

from __future__ import annotations

from rich.console import Console

from exhausters.progress import ShownProgress
from exhausters.sweep.record import RunRecord


class SweepProgress(ShownProgress):
    """Shows how many cells have ended, and on no terminal how each did."""

    def __init__(self, console: Console, *, total: int) -> None:
        super().__init__(console, total=total)
        self._total = total
        self._done = 0

    def cell_ended(self, record: RunRecord) -> None:
        """Count a cell."""
        self._done += 1
        self.step(self._done, self._total)
        if self._console.is_terminal:
            self.say(record.cell.id)
        else:
            self.note(f"[{self._done}/{self._total}] {record.result.outcome:9} {record.cell.id}")
