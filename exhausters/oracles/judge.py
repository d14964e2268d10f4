"""Lets all oracles look at one run, beside its recorder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

from exhausters.engine.api import RETRACT, BatchView, Engine
from exhausters.engine.wrap import wrap_calls
from exhausters.observe.recorder import Recorder
from exhausters.oracles.base import Judgement, Oracle, Requests, World
from exhausters.oracles.conservation import Conservation
from exhausters.oracles.full_flag import FullFlag
from exhausters.oracles.liveness import Liveness
from exhausters.oracles.ranks_agree import RanksAgree
from exhausters.oracles.registry import PROMISES
from exhausters.pressure import PressureSet
from exhausters.workloads import EmittedText


class Judge:
    """An observer of the scripted hook that stands behind a recorder; `start` and `stop` bracket the run."""

    def __init__(
        self,
        *,
        engine: Engine,
        pressure: PressureSet,
        recorder: Recorder,
        requests: Requests,
        text: EmittedText,
        on_unbalanced: Callable[[], None] = lambda: None,
    ) -> None:
        """Judge what `recorder` records; `on_unbalanced` is told of steps whose pools do not add up."""
        world = World(
            engine=engine,
            facts=engine.facts(),
            pressure=pressure,
            requests=requests,
            text=text,
        )
        self._world = world
        self._recorder = recorder
        self._on_unbalanced = on_unbalanced
        self._oracles = tuple(make(world) for make in PROMISES)
        # Every step and every batch of every run comes by here; most promises ask for one of them at most.
        self._of_steps = [one for one in self._oracles if type(one).on_step is not Oracle.on_step]
        self._of_batches = [one for one in self._oracles if type(one).on_batch is not Oracle.on_batch]
        self._stop = ExitStack()

    def start(self) -> None:
        """Begin to watch retractions and outputs; raises SeamError where the engine cannot be watched."""
        engine = self._world.engine
        point = next(one for one in engine.phase_points() if one.phase == RETRACT)
        self._stop.callback(
            wrap_calls(point.owner, point.name, self._after_retraction, self._before_retraction)
        )
        if self._world.text.fixed_token is None:
            self._stop.callback(engine.watch_outputs(self))

    def stop(self) -> None:
        """Take the wrappers off; harmless when repeated."""
        self._stop.close()

    def on_run_batch(self, batch: BatchView) -> None:
        """Let those look that judge what a batch reads and writes; all else is in the record of the step."""
        for oracle in self._of_batches:
            oracle.on_batch(batch)

    def on_finished(self, *, rid: str, outputs: Sequence[int], prompt_tokens: int, was_aborted: bool) -> None:
        """A request has ended; called by the engine while its outputs are watched."""
        for oracle in self._oracles:
            oracle.on_finished(rid=rid, outputs=outputs, prompt_tokens=prompt_tokens, was_aborted=was_aborted)

    def on_step(self) -> None:
        """Judge the step that the recorder has just closed."""
        step = self._recorder.newest
        if step is None:
            return
        for oracle in self._of_steps:
            oracle.on_step(step)
        if self._recorder.unbalanced:
            for oracle in self._oracles:
                if isinstance(oracle, Conservation):
                    oracle.on_unbalanced(self._recorder.unbalanced, step)
            self._on_unbalanced()
        ranks = self._recorder.ranks
        if ranks is not None:
            for oracle in self._oracles:
                if isinstance(oracle, RanksAgree):
                    oracle.on_ranks(self._recorder.disagreements, is_alike=ranks.is_alike)

    def flushed(self) -> None:
        """The idle engine is asked to empty its cache."""
        for oracle in self._oracles:
            oracle.on_flush()

    def drained(self) -> None:
        """The run is over, and pressure is released: judge what is left behind."""
        for oracle in self._oracles:
            oracle.on_drained(self._recorder.step_count)

    def kept_out(self) -> None:
        """A request that came to the drained engine was not admitted, and the batch is marked as full."""
        for oracle in self._oracles:
            if isinstance(oracle, FullFlag):
                oracle.on_kept_out(self._recorder.step_count)

    def stuck(self, *, bound_steps: int, released_step: int) -> None:
        """The run has not drained within the bound after the release of all pressure."""
        for oracle in self._oracles:
            if isinstance(oracle, Liveness):
                oracle.on_stuck(bound_steps=bound_steps, released_step=released_step)

    @property
    def judgement(self) -> Judgement:
        """What has been found until now."""
        found = [finding for oracle in self._oracles for finding in oracle.findings]
        return Judgement(
            findings=tuple(sorted(found, key=lambda one: one.step)),
            promises=tuple(oracle.answer for oracle in self._oracles),
        )

    def _before_retraction(self, batch: Any) -> None:
        rids = self._world.engine.rids_of(batch)
        for oracle in self._oracles:
            oracle.before_retraction(rids)

    def _after_retraction(self, _result: Any, _batch: Any) -> None:
        for oracle in self._oracles:
            oracle.on_retraction(self._recorder.memory_aborts)
