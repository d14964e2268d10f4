"""Executes the events of a workload: aborts, and pauses that end again."""

from __future__ import annotations

from collections.abc import Sequence

from exhausters.observe.recorder import Recorder
from exhausters.scripted.context import ScriptedContext
from exhausters.workloads import Request
from exhausters.workloads.event import (
    ABORT,
    CHUNKED,
    COMPILING,
    FINISHED,
    PAUSE_RETRACT,
    PAUSED_STEPS,
    RESUME,
    RETRACTED,
    RUNNING,
    WAITING,
    Event,
)


class Events:
    """Looks after each step which events are due; free for a workload without any.

    Attributes:
        aborted: requests that the workload itself has aborted before they ended.
        counts: how often each event has happened, by action and stage.
        acts: what was done, as (number of the step before which, action or `resume`, request id).
    """

    def __init__(self, context: ScriptedContext, requests: Sequence[Request], recorder: Recorder) -> None:
        self._context = context
        self._recorder = recorder
        self._pending = [(one, event) for one in requests for event in one.events]
        self._retracted: set[str] = set()
        self._paused_steps = 0
        self.aborted: set[str] = set()
        self.counts: dict[str, int] = {}
        self.acts: list[tuple[int, str, str]] = []

    @property
    def is_paused(self) -> bool:
        """Whether the engine is paused by an event, and will be resumed."""
        return self._paused_steps > 0

    def after_step(self, wanted_outputs: dict[str, int]) -> None:
        """Act on those whose stage is reached; the engine receives it in the iteration that follows."""
        if self._paused_steps:
            self._paused_steps -= 1
            if not self._paused_steps:
                self.acts.append((self._recorder.step_count, RESUME, ""))
                self._context.continue_generation()
            return
        if not self._pending or self._context.has_unreceived:
            return
        newest = self._recorder.newest
        self._retracted.update(() if newest is None else newest.retracted_rids)
        stages = self._stages(wanted_outputs)
        for request, event in list(self._pending):
            if event.stage in stages.get(request.rid, ()):
                self._pending.remove((request, event))
                if not self._act(request, event):
                    return

    def _stages(self, wanted_outputs: dict[str, int]) -> dict[str, tuple[str, ...]]:
        """The stage of each request that still has an event."""
        engine, outputs = self._context.engine, self._recorder.outputs
        waiting, running, chunked = (
            set(engine.waiting_rids()),
            set(engine.running_rids()),
            engine.chunked_rid(),
        )
        compiling = set(engine.grammar_rids())
        found: dict[str, tuple[str, ...]] = {}
        for request, _ in self._pending:
            rid = request.rid
            if outputs[rid] >= wanted_outputs[rid]:
                found[rid] = (FINISHED,)
            elif rid in compiling:
                found[rid] = (COMPILING,)
            elif rid == chunked:
                found[rid] = (CHUNKED,)
            elif rid in waiting:
                found[rid] = (RETRACTED,) if rid in self._retracted else (WAITING,)
            elif rid in running:
                found[rid] = (RUNNING,)
        return found

    def _act(self, request: Request, event: Event) -> bool:
        """Act on one; whether another may follow in this step: none does behind a pause."""
        name = f"{event.action} {event.stage}"
        self.counts[name] = self.counts.get(name, 0) + 1
        self.acts.append((self._recorder.step_count, event.action, request.rid))
        if event.action == ABORT:
            if event.stage != FINISHED:
                self.aborted.add(request.rid)
            self._context.engine.abort(request.rid)
            return True
        self._context.pause_generation(mode="retract" if event.action == PAUSE_RETRACT else "in_place")
        self._paused_steps = PAUSED_STEPS
        return False
