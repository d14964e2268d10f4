"""The recorder, on the fake scheduler: one record a step, and no trace of it afterwards."""

from __future__ import annotations

from typing import Any

import pytest

from exhausters.engine.clock import VirtualClock
from exhausters.errors import SeamError
from exhausters.observe.forward_time import ConstantForwardTime
from exhausters.observe.recorder import Recorder
from exhausters.observe.step_record import DECODE, IDLE, PREFILL
from exhausters.pressure import PressureSet
from tests.fakes.fake_engine import ScriptRunner


def _recorder(t: Any) -> Recorder:
    return Recorder(
        engine=t.engine,
        clock=t.clock,
        pressure=t.pressure,
        forward_time=ConstantForwardTime(seconds=0.5),
    )


def _recorded(t: Any, steps: int) -> Any:
    recorder = _recorder(t)
    recorder.start()
    t.observers.append(recorder)
    start_ns = t.clock.elapsed_ns
    for _ in range(steps):
        yield
    recorder.stop()
    recorder.stop()
    return recorder.log, dict(recorder.outputs), (t.clock.elapsed_ns - start_ns) / 1e9


def one_request(t: Any) -> Any:
    t.exhaust_rows(leave_rows=4)
    t.start_req(rid="a", prompt_len=40, max_new_tokens=3)
    return (yield from _recorded(t, 5))


def test_one_record_a_step() -> None:
    """Modes, requests, tokens, prefixes, pools and modelled time of a request's whole life."""
    log, outputs, elapsed = ScriptRunner().run(one_request)
    assert [one.mode for one in log] == [PREFILL, DECODE, DECODE, IDLE, IDLE]
    assert [one.step for one in log] == [0, 1, 2, 3, 4]
    assert [one.rids for one in log] == [("a",)] * 3 + [()] * 2
    assert [one.tokens for one in log] == [(40,), (1,), (1,), (), ()]
    assert [one.prefix_tokens for one in log] == [(0,), (), (), (), ()]
    assert [one.free_tokens for one in log] == [4048, 4048, 4064, 4064, 4064]
    assert [one.evictable_tokens for one in log] == [0, 0, 32, 32, 32]
    assert [(one.free_rows, one.held_rows) for one in log] == [(3, 60)] * 2 + [(4, 60)] * 3
    assert outputs == {"a": 3}
    assert [one.forward_ns for one in log] == [500_000_000] * 3 + [Recorder.idle_step_ns] * 2
    assert elapsed == pytest.approx(1.5 + 2 * Recorder.idle_step_ns / 1e9)


def chunk_and_retraction(t: Any) -> Any:
    for rid in "ab":
        t.start_req(rid=rid, prompt_len=64, prompt_token=ord(rid), max_new_tokens=40)
    yield
    t.exhaust_kv(leave_pages=2)
    return (yield from _recorded(t, 60))


def test_evictions_and_retractions_are_in_the_step_that_made_them() -> None:
    """The retracted request is told in the step of the short decode; withheld tokens in every step."""
    log, _, _ = ScriptRunner(max_total_tokens=1024).run(chunk_and_retraction)
    retracting = [one for one in log if one.retracted_rids]
    assert [one.retracted_rids for one in retracting] == [("b",)]
    assert retracting[0].mode == DECODE
    assert retracting[0].rids == ("a",)
    assert all(one.held_tokens == 1024 - 10 * 16 for one in log)
    assert sum(one.evict_calls for one in log) >= 1
    assert sum(one.evict_given_tokens for one in log) % 16 == 0


def parked(t: Any) -> Any:
    t.start_req(rid="runner", prompt_len=16, max_new_tokens=30)
    yield
    t.start_req(rid="long", prompt_len=700, max_new_tokens=1)
    yield
    t.exhaust_kv(leave_pages=2)
    return (yield from _recorded(t, 3))


def test_a_parked_chunk_is_named_in_decode_steps_too() -> None:
    """A decode that leaves the chunked request out tells which one waits."""
    log, _, _ = ScriptRunner().run(parked)
    assert [(one.mode, one.chunked_rid) for one in log] == [(DECODE, "long")] * 3


def starts_and_stops(t: Any) -> Any:
    recorder = _recorder(t)
    owners = {id(point.owner): point.owner for point in t.engine.phase_points()}.values()

    def wrapped() -> set[str]:
        names = {point.name for point in t.engine.phase_points()}
        return {name for owner in owners for name in names & vars(owner).keys()}

    recorder.start()
    during = wrapped()
    recorder.stop()
    return during, wrapped()


def test_wrappers_are_removed() -> None:
    """Eviction and retraction are wrapped from `start` to `stop`, and as they were afterwards."""
    assert ScriptRunner().run(starts_and_stops) == ({"evict", "retract"}, set())


def test_a_failed_start_can_be_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """When one thing cannot be observed, nothing stays wrapped, and `stop` is harmless."""
    engine = ScriptRunner()
    monkeypatch.delattr(type(engine.scheduler), "retract")
    recorder = Recorder(
        engine=engine.engine,
        clock=VirtualClock(),
        pressure=PressureSet(engine.engine),
        forward_time=ConstantForwardTime(),
    )
    with pytest.raises(SeamError, match="retract"):
        recorder.start()
    recorder.stop()
    assert "evict" not in vars(engine.scheduler.trie)
