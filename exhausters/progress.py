"""Progress on a terminal, or a line for each thing that takes time where there is none."""

from __future__ import annotations

import time
from collections.abc import Callable
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


class TimeLeft:
    """How long what is left will take, if it takes as long as what was done.

    Args:
        clock: in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began: float | None = None
        self._done = 0

    def begin(self) -> None:
        """Count from now on: the first boot is behind; later calls change nothing."""
        if self._began is None:
            self._began = self._clock()

    def did_one(self) -> None:
        """Count a thing that took its time; what was known before is not counted."""
        self.begin()
        self._done += 1

    def text(self, left: int) -> str:
        """Return such as `about 12 min left`; empty while nothing is known, or nothing is left."""
        if not self._done or self._began is None or left <= 0:
            return ""
        return f"about {duration((self._clock() - self._began) / self._done * left)} left"


def duration(seconds: float) -> str:
    """Return a time in the unit that people would say it in: `40 s`, `12 min`, `3 h 20 min`."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


class ShownProgress:
    """A context manager that shows what is being done, and how many of how many things are done."""

    def __init__(self, console: Console, *, total: int | None = None) -> None:
        self._console = console
        self._bar = Progress(
            SpinnerColumn(),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            TextColumn("{task.description}"),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self._task = self._bar.add_task("", total=total, left="")

    def say(self, what: str) -> None:
        """Show what is being done now."""
        self._bar.update(self._task, description=what)
        if not self._console.is_terminal:
            self.note(what)

    def note(self, what: str) -> None:
        """Leave a line that stays."""
        self._console.print(what, markup=False, highlight=False, soft_wrap=True)

    def step(self, done: int, total: int, *, left: str = "") -> None:
        """Show how many of how many are done, and how long the rest will take, where that is known."""
        self._bar.update(self._task, completed=done, total=total, left=left)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()
