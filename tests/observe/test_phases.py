"""Which phase is on when, on an engine that only calls its own methods, and the CPU time given to each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from exhausters.engine.api import EVICT, FORM_BATCH, PROCESS_RESULT, RETRACT, RUN, MethodPoint
from exhausters.errors import SeamError
from exhausters.observe import host_time
from exhausters.observe.host_time import HostTimer, host_metrics
from exhausters.observe.phases import OTHER, PHASES, RECEIVE, PhaseSwitch


class _Clock:
    """CPU time that passes only when told to."""

    def __init__(self) -> None:
        self.now_ns = 0

    def work(self, nanoseconds: int) -> None:
        self.now_ns += nanoseconds


class _Tree:
    def __init__(self, work: Callable[[int], None]) -> None:
        self._work = work

    def evict(self, tokens: int) -> int:
        self._work(7)
        return tokens


def _engine(work: Callable[[int], None]) -> Any:
    """An engine whose methods take known times; classes of its own, since one of them is wrapped."""

    class Batch:
        def retract(self) -> str:
            work(11)
            return "retracted"

    class Engine:
        def __init__(self) -> None:
            self.tree = _Tree(work)
            self.batch = Batch()
            self.on_run: Callable[[], None] = lambda: None

        def phase_points(self) -> list[MethodPoint]:
            return [
                MethodPoint(owner=self, name="form", phase=FORM_BATCH),
                MethodPoint(owner=self, name="run", phase=RUN),
                MethodPoint(owner=self, name="process", phase=PROCESS_RESULT),
                MethodPoint(owner=self.tree, name="evict", phase=EVICT),
                MethodPoint(owner=Batch, name="retract", phase=RETRACT),
            ]

        def form(self) -> str:
            work(1)
            self.tree.evict(5)
            work(2)
            return self.batch.retract()

        def run(self, batch: str) -> str:
            work(20)
            self.on_run()
            work(30)
            self.tree.evict(5)
            return batch

        def process(self) -> None:
            work(300)
            raise_ = getattr(self, "failure", None)
            if raise_ is not None:
                raise raise_

    return Engine()


class _Told:
    """A listener that writes down what it is told."""

    def __init__(self) -> None:
        self.words: list[str] = []

    def enter(self, phase: str) -> None:
        self.words.append(phase)

    def leave(self) -> None:
        self.words.append("-")


def _one_step(engine: Any, work: Callable[[int], None]) -> None:
    work(4_000)  # receive
    batch = engine.form()
    work(50_000)  # the loop's own
    engine.run(batch)
    engine.process()


def test_order_of_phases() -> None:
    """Evictions and retractions are phases within the one that called them; the loop's rest is `other`."""
    told = _Told()
    engine = _engine(lambda _: None)
    switch = PhaseSwitch(engine, told)
    switch.resume()
    _one_step(engine, lambda _: None)
    switch.end_step()
    forming = [FORM_BATCH, EVICT, FORM_BATCH, RETRACT, FORM_BATCH, OTHER]
    running = [RUN, EVICT, RUN, OTHER]
    assert told.words == [RECEIVE, *forming, *running, PROCESS_RESULT, OTHER, "-"]


def test_harness_calls_between_steps_are_no_phase() -> None:
    """An exhauster that evicts between two steps is not taken for the scheduler."""
    told = _Told()
    engine = _engine(lambda _: None)
    switch = PhaseSwitch(engine, told)
    assert engine.tree.evict(3) == 3
    switch.end_step()
    switch.pause()
    switch.unpause()
    assert told.words == []


def test_pause_and_unpause_go_on_in_the_same_phase() -> None:
    """The harness's code within a phase is left out, and the phase goes on after it."""
    told = _Told()
    engine = _engine(lambda _: None)
    switch = PhaseSwitch(engine, told)

    def on_run() -> None:
        switch.pause()
        told.words.append("harness")
        switch.unpause()

    engine.on_run = on_run
    switch.resume()
    engine.run("batch")
    assert told.words[:5] == [RECEIVE, RUN, "-", "harness", RUN]


def test_a_failing_phase_ends() -> None:
    """When the scheduler raises within a phase the error goes through and the phase is over."""
    told = _Told()
    engine = _engine(lambda _: None)
    engine.failure = KeyError("planted")
    switch = PhaseSwitch(engine, told)
    switch.resume()
    with pytest.raises(KeyError, match="planted"):
        engine.process()
    assert told.words == [RECEIVE, PROCESS_RESULT, OTHER]


def test_remove_leaves_no_trace() -> None:
    """Afterwards the scheduler, its tree and its batch class are as they were, and nobody is told more."""
    told = _Told()
    engine = _engine(lambda _: None)
    batch_class = type(engine.batch)
    before = dict(vars(engine)), dict(vars(engine.tree)), batch_class.retract
    switch = PhaseSwitch(engine, told)
    assert batch_class.retract is not before[2]
    switch.resume()
    switch.remove()
    switch.remove()
    assert told.words == [RECEIVE, "-"]
    assert (vars(engine), vars(engine.tree), batch_class.retract) == before


def test_a_scheduler_without_a_phase_is_refused() -> None:
    """A release whose scheduler has no such method is named rather than measured wrongly."""
    engine = _engine(lambda _: None)
    del type(engine).run
    with pytest.raises(SeamError, match="no run"):
        PhaseSwitch(engine, _Told())


def _timed(monkeypatch: pytest.MonkeyPatch, steps: int) -> HostTimer:
    clock = _Clock()
    monkeypatch.setattr(host_time, "real_thread_time_ns", lambda: clock.now_ns)
    engine, timer = _engine(clock.work), HostTimer()
    switch = PhaseSwitch(engine, timer)

    def on_run() -> None:
        switch.pause()
        clock.work(900_000)  # the harness's own
        switch.unpause()

    engine.on_run = on_run
    for _ in range(steps):
        clock.work(7_000_000)  # the script, between two steps
        switch.resume()
        _one_step(engine, clock.work)
        switch.end_step()
    switch.remove()
    return timer


def test_cpu_time_of_each_phase(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each phase has its own nanoseconds, and the harness's code is in none of them."""
    timer = _timed(monkeypatch, steps=2)
    assert timer.cpu_ns == {
        RECEIVE: 2 * 4_000,
        FORM_BATCH: 2 * (1 + 2),
        RUN: 2 * (20 + 30),
        PROCESS_RESULT: 2 * 300,
        EVICT: 2 * 2 * 7,
        RETRACT: 2 * 11,
        OTHER: 2 * 50_000,
    }
    assert timer.total_ns == sum(timer.cpu_ns.values())


def test_host_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds in all, milliseconds a step in all and by phase, and prefill tokens a CPU second."""
    timer = _timed(monkeypatch, steps=2)
    found = host_metrics(timer, {"steps_to_drain": 2, "prefill_tokens": 500})
    assert found["scheduler_cpu_seconds"] == timer.total_ns / 1e9
    assert found["scheduler_cpu_ms_per_step"] == pytest.approx(timer.total_ns / 2e6)
    phases = [found[f"scheduler_cpu_ms_per_step_{phase}"] for phase in PHASES]
    assert phases[PHASES.index(PROCESS_RESULT)] == 300 / 1e6
    assert sum(value for value in phases if value is not None) == pytest.approx(timer.total_ns / 2e6)
    assert found["prefill_tokens_per_cpu_second"] == pytest.approx(500 / (timer.total_ns / 1e9))


def test_a_run_without_steps_has_no_rates() -> None:
    """Nothing is divided by no steps or no seconds."""
    found = host_metrics(HostTimer(), {"steps_to_drain": 0, "prefill_tokens": 0})
    assert found.pop("scheduler_cpu_seconds") == 0.0
    assert set(found.values()) == {None}
