"""Splits a step into phases by wrapping methods of the engine; one listener is notified when a phase begins.

A step goes receive -> form_batch (evict, retract within it) -> run (evict within it) -> process_result. What
the loop does between them is `other`; what the harness itself does between two steps is no phase at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from exhausters.engine.api import EVICT, FORM_BATCH, PROCESS_RESULT, RETRACT, RUN, MethodPoint
from exhausters.engine.wrap import wrap

RECEIVE, OTHER = "receive", "other"
PHASES = (RECEIVE, FORM_BATCH, RUN, PROCESS_RESULT, EVICT, RETRACT, OTHER)


class HasPhases(Protocol):
    """The part of an engine that is needed here."""

    def phase_points(self) -> Sequence[MethodPoint]:
        """The methods that are phases of a step."""


class PhaseListener(Protocol):
    """Told when a phase begins; the one before has ended then."""

    def enter(self, phase: str) -> None:
        """`phase` begins."""

    def leave(self) -> None:
        """The step has ended: the harness's own code runs until the next phase begins."""


class Unmeasured:
    """A phase listener for runs of which only the decisions are wanted."""

    def enter(self, phase: str) -> None:
        """Nothing is measured."""

    def leave(self) -> None:
        """Nothing was measured."""


class PhaseSwitch:
    """Wraps the engine's methods for as long as a run is observed.

    `end_step` closes a step; `resume` opens the next one, after the script has acted; `pause` and `unpause`
    bracket the harness's own code within a phase.
    """

    def __init__(self, engine: HasPhases, listener: PhaseListener) -> None:
        self._listener = listener
        self._current: str | None = None
        self._removals: list[Callable[[], None]] = []
        for point in engine.phase_points():
            self._removals.append(wrap(point.owner, point.name, self._wrapper(point.phase)))

    def end_step(self) -> None:
        """A step has ended."""
        if self._current is not None:
            self._listener.leave()
            self._current = None

    def resume(self) -> None:
        """The script has acted; the scheduler receives what it has sent."""
        self._current = RECEIVE
        self._listener.enter(RECEIVE)

    def pause(self) -> None:
        """The harness's own code runs within a phase, until `unpause`."""
        if self._current is not None:
            self._listener.leave()

    def unpause(self) -> None:
        """The phase goes on."""
        if self._current is not None:
            self._listener.enter(self._current)

    def remove(self) -> None:
        """Take all wrappers off; harmless when repeated."""
        self.end_step()
        while self._removals:
            self._removals.pop()()

    def _wrapper(self, phase: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        nested = phase in (EVICT, RETRACT)
        enter = self._listener.enter

        def make(original: Callable[..., Any]) -> Callable[..., Any]:
            def switched(*args: Any, **keywords: Any) -> Any:
                outer = self._current
                if outer is None:  # called from the harness's own code
                    return original(*args, **keywords)
                self._current = phase
                enter(phase)
                try:
                    return original(*args, **keywords)
                finally:
                    # What follows a phase of the loop belongs to the loop, not to what came before it.
                    self._current = after = outer if nested else OTHER
                    enter(after)

            return switched

        return make
