"""What the two command lines share: consoles, errors shown as one line, and exit codes.

Exit codes of every command:

    0   it did what it was asked; an answer: nothing is worse
    1   an answer: worse, a trade-off, a false claim; a difference; a broken promise, a failed test
    2   bad input, a failure, or an answer that could not be decided
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from rich import box
from rich.console import Console, RenderableType
from rich.measure import Measurement
from rich.table import Table

from exhausters.errors import ExhaustersError

FAILED = 2
# A file or a pipe has no width that a table should be cut to.
_PIPE_WIDTH = 140
_NO_LIMIT = 10_000


class _OutputConsole(Console):
    def on_broken_pipe(self) -> None:
        """Print nothing more: a reader such as `head` that has seen enough does not change the exit code."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def output_console() -> Console:
    """Return the console for results, on standard output."""
    console = _OutputConsole()
    return console if console.is_terminal else _OutputConsole(width=max(console.width, _PIPE_WIDTH))


def error_console() -> Console:
    """Return the console for progress, notes and errors, on standard error."""
    return Console(stderr=True)


def print_line(console: Console, text: str) -> None:
    """Print text as it is: no markup is read in it, nothing is coloured, and no line is broken."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def print_whole(console: Console, shown: RenderableType) -> None:
    """Print tables with all of their columns; cut to the window's width only where there is a window.

    A wider table would lose its last columns in a file or a pipe, without a word.
    """
    if console.is_terminal:
        console.print(shown)
        return
    width = console.width
    needed = Measurement.get(console, console.options.update(width=_NO_LIMIT), shown).maximum
    console.width = max(width, needed)
    console.print(shown)
    console.width = width


def headed_table(heading: str) -> Table:
    """Return a table without columns yet, under a heading at its left."""
    return Table(
        title=heading,
        title_justify="left",
        title_style="bold cyan",
        header_style="bold",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        show_edge=False,
    )


@contextmanager
def errors_shown(console: Console | None = None) -> Iterator[None]:
    """Show an error of this project, or of a file, as its message without a traceback; exit with `FAILED`.

    Ctrl-C ends the same way: 1 would be an answer. So does SIGTERM, which a CI system and `timeout` send: its
    default would leave a worker that is booting alone.
    """
    try:
        with _terminated_as_interrupted():
            yield
    except (ExhaustersError, OSError) as error:
        console = console or error_console()
        console.print(f"[bold red]{type(error).__name__}[/]: ", end="")
        console.print(str(error), markup=False, highlight=False)
        raise SystemExit(FAILED) from None
    except KeyboardInterrupt:
        print_line(console or error_console(), "interrupted; what has been written stays, marked incomplete")
        raise SystemExit(FAILED) from None


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
