"""Progress of a sweep on a terminal, or a line for each cell where there is none."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from exhausters.sweep.record import RunRecord


class SweepProgress:
    """A context manager that shows what is being done and how many cells have ended."""

    def __init__(self, console: Console, *, total: int) -> None:
        self._console = console
        self._total = total
        self._done = 0
        self._bar = Progress(
            SpinnerColumn(),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self._task = self._bar.add_task("", total=total)

    def say(self, what: str) -> None:
        """Show what is being done now."""
        self._bar.update(self._task, description=what)
        if not self._console.is_terminal:
            self._console.print(what, markup=False, highlight=False, soft_wrap=True)

    def cell_ended(self, record: RunRecord) -> None:
        """Count a cell."""
        self._done += 1
        self._bar.update(self._task, advance=1, description=record.cell.id)
        if not self._console.is_terminal:
            line = f"[{self._done}/{self._total}] {record.result.outcome:9} {record.cell.id}"
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def __enter__(self) -> SweepProgress:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()
