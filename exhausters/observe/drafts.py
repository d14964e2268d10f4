"""What becomes of draft tokens in one step, for the recorder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from exhausters.engine.api import Engine


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftStep:
    """One step of a speculative engine; the fields of `StepRecord` say what each is."""

    emitted_tokens: tuple[int, ...] = ()
    taken_tokens: int = 0
    returned_tokens: int = 0
    reserved_tokens: int = 0


_NOTHING = DraftStep()


class DraftTokens:
    """Counts drafts between `start` and `stop`; of an engine that drafts nothing, nothing."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._drafts = engine.drafts
        self._stop_watching: Callable[[], None] | None = None
        self._emitted: tuple[int, ...] = ()
        self._taken = self._returned = 0

    def start(self) -> None:
        """Begin to count; raises SeamError where the engine cannot be watched."""
        if self._drafts is not None:
            self._stop_watching = self._drafts.watch(self)

    def stop(self) -> None:
        """Remove the wrappers; harmless when repeated."""
        if self._stop_watching is not None:
            self._stop_watching()
            self._stop_watching = None

    def take_step(self) -> DraftStep:
        """Return what was counted since the last call."""
        if self._drafts is None:
            return _NOTHING
        step = DraftStep(
            emitted_tokens=self._emitted,
            taken_tokens=self._taken,
            returned_tokens=self._returned,
            reserved_tokens=self._drafts.reserved_tokens(self._engine.active_requests()),
        )
        self._emitted = ()
        self._taken = self._returned = 0
        return step

    def on_verified(self, emitted: tuple[int, ...]) -> None:
        """Note the tokens that the requests of the step's decode emit."""
        self._emitted = emitted

    def on_kv_taken(self, tokens: int) -> None:
        """Note KV tokens that a decode takes."""
        self._taken += tokens

    def on_kv_returned(self, tokens: int) -> None:
        """Note KV tokens that come back unused."""
        self._returned += tokens
