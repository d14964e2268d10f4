"""Progress on a terminal, or a line for each thing that takes time where there is none."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)


class ShownProgress:
    """A context manager that shows what is being done, and how many of how many things are done."""

    def __init__(self, console: Console, *, total: int | None = None) -> None:
        self._console = console
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
            self.note(what)

    def note(self, what: str) -> None:
        """Leave a line that stays."""
        self._console.print(what, markup=False, highlight=False, soft_wrap=True)

    def step(self, done: int, total: int) -> None:
        """Show how many of how many are done."""
        self._bar.update(self._task, completed=done, total=total)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()
