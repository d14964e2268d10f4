"""Progress of a sweep or of pairs, run by run."""

from __future__ import annotations

from rich.console import Console

from exhausters.progress import ShownProgress, TimeLeft
from exhausters.sweep.record import RunRecord
from exhausters.sweep.result_cache import is_cached

# A line for each run needs no time behind it but now and then.
_LINES_PER_TIME = 10


class SweepProgress(ShownProgress):
    """Shows how many runs have ended and how long the rest will take; without a terminal, a line for each."""

    def __init__(self, console: Console, *, total: int, time_left: TimeLeft | None = None) -> None:
        super().__init__(console, total=total)
        self._total = total
        self._done = 0
        self._time_left = time_left or TimeLeft()

    def kept(self, runs: int) -> None:
        """Count runs of an earlier call."""
        if runs:
            self._done += runs
            self.step(self._done, self._total)
            self.note(f"[{self._done}/{self._total}] kept from an earlier call")

    def booting(self, target: str) -> None:
        """Say that the runs begin; time is counted from here."""
        self._time_left.begin()
        self.say(f"booting {target}")

    def run_ended(self, record: RunRecord) -> None:
        """Count a run."""
        self._done += 1
        if not is_cached(record):
            self._time_left.did_one()
        left = self._time_left.text(self._total - self._done)
        self.step(self._done, self._total, left=left)
        which = "" if record.round is None else f" (round {record.round + 1}, {record.target})"
        if self._console.is_terminal:
            self.say(record.cell.id + which)
            return
        told = f", {left}" if left and self._done % _LINES_PER_TIME == 0 else ""
        self.note(f"[{self._done}/{self._total}{told}] {record.result.outcome:9} {record.cell.id}{which}")
