"""Scripts that run in the first of two ranks, and functions that run in the second."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator
from typing import Any

from exhausters.observe.forward_time import LinearForwardTime
from exhausters.observe.recorder import Recorder
from exhausters.observe.step_record import StepRecord
from exhausters.oracles import Judgement
from exhausters.scripted.context import ScriptedContext
from exhausters.scripted.judged_run import JudgedRun
from exhausters.scripted.recorded_steps import recorded_steps, request

_DUE = {0: [request("a", [101] * 256, max_new_tokens=6), request("b", [102] * 320, max_new_tokens=6)]}


def steps(t: ScriptedContext) -> Generator[None, None, tuple[StepRecord, ...]]:
    """Two requests, from their prefill to their end."""
    return (yield from recorded_steps(t, _DUE, steps=10))


def on_the_second_rank(t: ScriptedContext) -> Generator[None, None, list[tuple[tuple[str, int], ...]]]:
    """Three requests, of which one names no rank; modes and batch sizes of all ranks, step by step."""
    assert t.ranks is not None
    recorder = Recorder(
        engine=t.engine, clock=t.clock, pressure=t.pressure, forward_time=LinearForwardTime(), ranks=t.ranks
    )
    recorder.start()
    t.observers.append(recorder)
    for rid, rank in (("a", 1), ("b", 1), ("c", None)):
        sampling = {"max_new_tokens": 4 if rank else 2, "temperature": 0.0, "ignore_eos": True}
        t.submit([101] * 64, rid=rid, sampling=sampling, dp_rank=rank)
    while True:
        yield
        if t.is_fully_idle and not t.has_unreceived:
            break
    recorder.stop()
    assert dict(recorder.outputs) == {"a": 4, "b": 4, "c": 2}
    logs = [recorder.log, *recorder.rank_logs]
    return [tuple((one.mode, len(one.rids)) for one in log) for log in logs]


def pids(t: ScriptedContext) -> list[int]:
    """The processes of the other ranks."""
    assert t.ranks is not None
    return list(t.ranks.pids)


def take_a_page(engine: Any) -> None:
    """Runs in the second rank: a page that the first still has."""
    engine.kv_pool.take(engine.kv_pool.page_size)


def raise_there(engine: Any) -> None:
    """Runs in the second rank: its next batch raises."""

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("planted in one rank")

    engine.native.get_next_batch_to_run = broken


def kill_there(_engine: Any) -> None:
    """Runs in the second rank: it is gone without a word."""
    os.kill(os.getpid(), signal.SIGKILL)


def with_a_page_less(t: ScriptedContext) -> Generator[None, None, tuple[StepRecord, ...]]:
    """The second rank has a page less from the third step on."""
    yield from planted(t, take_a_page)
    return ()


def that_raises(t: ScriptedContext) -> Generator[None, None, None]:
    """The second rank raises in the third step."""
    yield from planted(t, raise_there)


def that_is_killed(t: ScriptedContext) -> Generator[None, None, None]:
    """The second rank is killed in the third step."""
    yield from planted(t, kill_there)


def planted(t: ScriptedContext, function: Any) -> Generator[None, None, None]:
    """Run `function` in the second rank before the third step."""
    assert t.ranks is not None
    running = recorded_steps(t, _DUE, steps=10)
    for number, _ in enumerate(running):
        if number == 2:
            t.ranks.call(1, function)
        yield


def judged_with_a_page_less(t: ScriptedContext) -> Generator[None, None, Judgement]:
    """The same, judged by the oracles to its end."""
    assert t.ranks is not None
    with JudgedRun(t) as run:
        run.submit("a", [101] * 256, max_new_tokens=6)
        yield from run.steps(2)
        t.ranks.call(1, take_a_page)
        yield from run.drain()
    return run.judgement


def under_pressure(t: ScriptedContext) -> Generator[None, None, tuple[Judgement, int]]:
    """Six requests, with most pages held on every rank for six steps; the steps of the second rank."""
    with JudgedRun(t) as run:
        for number in range(6):
            run.submit(f"r{number}", [101 + number % 3] * (200 + 16 * number), max_new_tokens=6)
        yield from run.steps(2)
        t.exhaust(leave_pages=8, held=True)
        yield from run.steps(6)
        t.release_pressure()
        yield from run.drain()
    (log,) = run.recorder.rank_logs
    assert any(step.held_tokens for step in log)
    return run.judgement, len(log)
