"""Progress of a sweep or of pairs, run by run."""

from __future__ import annotations

from rich.console import Console

from exhausters.progress import ShownProgress
from exhausters.sweep.record import RunRecord


class SweepProgress(ShownProgress):
    """Shows how many runs have ended and, where there is no terminal, a line for each."""

    def __init__(self, console: Console, *, total: int) -> None:
        super().__init__(console, total=total)
        self._total = total
        self._done = 0

    def run_ended(self, record: RunRecord) -> None:
        """Count a run."""
        self._done += 1
        self.step(self._done, self._total)
        which = "" if record.round is None else f" (round {record.round + 1}, {record.target})"
        if self._console.is_terminal:
            self.say(record.cell.id + which)
        else:
            self.note(f"[{self._done}/{self._total}] {record.result.outcome:9} {record.cell.id}{which}")
