"""Counts every line of SGLang that a run executes: what it reached, and how often its loops went round.

A loop inside one function makes no calls, so counting calls does not see it; its lines are executed once per
iteration, so counting lines does. Exact, like all counts, and slow: for a pass of its own.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Sequence
from types import CodeType, FrameType
from typing import Any

# Lines by number, with how often each was executed.
LineCounts = dict[int, int]


class ExecutedLines:
    """A phase listener that counts lines, on the thread that makes it.

    Attributes:
        folders: absolute folders whose files are watched, each with a slash at its end.
    """

    def __init__(self, folders: Sequence[str], *, files: Collection[str] = ()) -> None:
        """See the class; with `files`, absolute names, only those of them are watched, which costs less."""
        self.folders = tuple(folder.rstrip("/") + "/" for folder in folders)
        self._files = frozenset(files)
        # Each watched function's counts and the tracer that fills them; None for one that is not watched.
        self._tracers: dict[CodeType, tuple[LineCounts, Callable[..., Any]] | None] = {}

    def enter(self, phase: str) -> None:
        """A phase begins or goes on: count, in the functions that are running already too."""
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            # Also where an earlier pass has left its tracer: a loop that never returns keeps its frame.
            tracer = self._trace(frame, "call", None)
            if tracer is not None and frame.f_trace is not tracer:
                frame.f_trace = tracer
            frame = frame.f_back
        sys.settrace(self._trace)

    def leave(self) -> None:
        """The step has ended: what the harness does next is not counted."""
        sys.settrace(None)

    def by_function(self) -> dict[CodeType, LineCounts]:
        """Return the counts of every watched function that executed a line."""
        return {code: found[0] for code, found in self._tracers.items() if found is not None and found[0]}

    def by_file(self) -> dict[str, LineCounts]:
        """Return the counts by absolute file name."""
        files: dict[str, LineCounts] = {}
        for code, counts in self.by_function().items():
            lines = files.setdefault(code.co_filename, {})
            for line, count in counts.items():
                lines[line] = lines.get(line, 0) + count
        return files

    def _trace(self, frame: FrameType, event: str, argument: Any) -> Callable[..., Any] | None:
        code = frame.f_code
        try:
            found = self._tracers[code]
        except KeyError:
            found = self._tracers[code] = _tracer() if self._is_watched(code.co_filename) else None
        return None if found is None else found[1]

    def _is_watched(self, file: str) -> bool:
        return file.startswith(self.folders) and (not self._files or file in self._files)


def _tracer() -> tuple[LineCounts, Callable[..., Any]]:
    counts: LineCounts = {}

    def trace(frame: FrameType, event: str, argument: Any) -> Callable[..., Any]:
        if event == "line":
            line = frame.f_lineno
            counts[line] = counts.get(line, 0) + 1
        return trace

    return counts, trace
