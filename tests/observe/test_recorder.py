"""The recorder, on the fake scheduler: one record a step, and no trace of it afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from exhausters.engine.api import (
    DECODE_ROLE,
    PREFILL_ROLE,
    Arrival,
    BatchView,
    DraftListener,
    TransferEvents,
)
from exhausters.engine.clock import VirtualClock
from exhausters.errors import SeamError
from exhausters.observe.forward_time import ConstantForwardTime, ForwardShape
from exhausters.observe.recorder import Recorder
from exhausters.observe.step_record import DECODE, IDLE, PREFILL
from exhausters.pressure import PressureSet
from exhausters.workloads import Transfer
from exhausters.workloads.transfer import DRIVEN, STALLS
from tests.fakes.fake_engine import ScriptRunner
from tests.fakes.fake_pair import PairedRunner


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


def of_a_pair(t: Any, transfer: Transfer) -> Any:
    """A request of one engine of a pair, whose transfer ends after three steps."""
    recorder = _recorder(t)
    recorder.start()
    t.observers.append(recorder)
    t.start_req(rid="a", prompt_len=40, max_new_tokens=3, transfer=transfer)
    outputs = []
    if t.transfers.role == PREFILL_ROLE:
        t.transfers.answer("a")
    for step in range(6):
        if step == 3:
            t.transfers.arrive("a")
        yield
        outputs.append(recorder.outputs["a"])
    recorder.stop()
    return outputs, recorder.log


@pytest.mark.parametrize(
    ("role", "transfer", "outputs", "modes"),
    [
        (PREFILL_ROLE, Transfer(steps=0, fate=DRIVEN), [0, 0, 0, 1, 1, 1], [PREFILL] + [IDLE] * 5),
        (
            DECODE_ROLE,
            Transfer(steps=0, fate=STALLS),
            [0, 0, 0, 2, 3, 3],
            [IDLE] * 3 + [PREFILL, DECODE, IDLE],
        ),
    ],
)
def test_a_first_token_counts_when_it_has_arrived(
    role: str, transfer: Transfer, outputs: list[int], modes: list[str]
) -> None:
    """The token of a prefill is emitted by the transfer that brings it to the other engine, not before."""
    found, log = PairedRunner(role).run(of_a_pair, transfer)
    assert found == outputs
    assert [one.mode for one in log] == modes
    assert [one.arrived_rids for one in log] == [("a",) if step == 3 else () for step in range(6)]
    assert [one.arrived_tokens for one in log] == [0, 0, 0, 40, 0, 0]


class _Drafts:
    """The drafts of an engine that verifies two of them for each request."""

    verified_tokens = tokens_per_decode = 3

    def __init__(self) -> None:
        self.listener: DraftListener | None = None

    def reserved_tokens(self, requests: Sequence[Any]) -> int:
        return 0

    def watch(self, listener: DraftListener) -> Any:
        self.listener = listener
        return lambda: setattr(self, "listener", None)


class _Reads:
    """Keeps the KV tokens that each forward reads."""

    name = "reads/1"

    def __init__(self) -> None:
        self.read: list[int] = []

    def forward_ns(self, shape: ForwardShape) -> int:
        self.read.append(shape.kv_tokens_read)
        return 1


def drafted(t: Any, emitted: Sequence[tuple[int, ...]], model: _Reads) -> Any:
    drafts = t.engine.drafts
    recorder = Recorder(engine=t.engine, clock=t.clock, pressure=t.pressure, forward_time=model)
    recorder.start()
    t.observers.append(recorder)
    for rid in "ab":
        t.start_req(rid=rid, prompt_len=16, prompt_token=ord(rid), max_new_tokens=9)
    yield
    outputs = []
    for one in emitted:
        drafts.listener.on_verified(one)
        yield
        outputs.append(dict(recorder.outputs))
    recorder.stop()
    return outputs, drafts.listener, [one.emitted_tokens for one in recorder.log]


def test_accepted_drafts_are_outputs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each request of a decode has as many outputs more as were accepted of its drafts, itself included."""
    runner = ScriptRunner()
    model = _Reads()
    monkeypatch.setattr(runner.engine, "drafts", _Drafts())
    outputs, listener, emitted = runner.run(drafted, [(3, 1), (2, 2)], model)
    assert outputs == [{"a": 4, "b": 2}, {"a": 6, "b": 4}]
    assert emitted == [(), (3, 1), (2, 2)]
    assert model.read == [32, 34, 34 + 4]  # of the first decode four tokens are kept
    assert listener is None


@pytest.fixture(name="overlapped")
def _overlapped_recorder() -> Recorder:
    """A recorder of an engine whose results are looked at a step later, told by hand of a first prefill."""
    runner = ScriptRunner()
    runner.engine.is_overlapped = True
    recorder = Recorder(
        engine=runner.engine,
        clock=VirtualClock(),
        pressure=PressureSet(runner.engine),
        forward_time=ConstantForwardTime(),
    )
    recorder.on_run_batch(
        BatchView(mode=PREFILL, rids=("a", "b"), tokens=(16, 16), prefix_tokens=(0, 0), chunked_rid="b")
    )
    recorder.on_step()
    return recorder


def test_a_preempted_request_loses_the_token_that_nobody_has_seen(overlapped: Recorder) -> None:
    """What the last step computed for it is dropped; a request without such a token drops nothing."""
    assert overlapped.outputs == {"a": 1}
    overlapped.on_preemption(own_tokens={"a": 16, "b": 8})
    overlapped.on_run_batch(BatchView(mode=IDLE))
    overlapped.on_step()
    newest = overlapped.newest
    assert newest is not None
    assert (newest.preempted_rids, newest.preempted_tokens) == (("a", "b"), 24)
    assert (newest.dropped_rids, newest.retracted_rids) == (("a",), ())
    assert overlapped.outputs["a"] == 0


def test_a_retracted_request_loses_it_too(overlapped: Recorder) -> None:
    """A retraction drops the same token, and says which requests were given up."""
    overlapped.on_retraction(own_tokens={"b": 8, "a": 16}, aborted=1)
    assert overlapped.memory_aborts == 1
    overlapped.on_step()
    newest = overlapped.newest
    assert newest is not None
    assert (newest.retracted_rids, newest.retracted_tokens, newest.dropped_rids) == (("b", "a"), 24, ("a",))
    assert overlapped.outputs["a"] == 0


def test_a_decode_engine_keeps_the_kv_of_what_it_retracts() -> None:
    """Its KV is brought back later, so that the next decode reads all of it again."""
    model = _Reads()
    runner = PairedRunner(DECODE_ROLE)
    recorder = Recorder(
        engine=runner.engine,
        clock=VirtualClock(),
        pressure=PressureSet(runner.engine),
        forward_time=model,
    )
    decode = BatchView(mode=DECODE, rids=("a",), tokens=(1,))
    recorder.on_run_batch(
        BatchView(mode=PREFILL, rids=("a",), tokens=(16,), prefix_tokens=(0,), chunked_rid=None)
    )
    recorder.on_step()
    recorder.on_retraction(own_tokens={"a": 16}, aborted=0)
    recorder.on_run_batch(decode)
    recorder.on_step()
    assert model.read == [16, 17]


def test_what_is_sent_a_second_time_brings_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first token of a request that is sent again has come already: only its KV comes."""
    runner = PairedRunner(DECODE_ROLE)
    recorder = Recorder(
        engine=runner.engine,
        clock=VirtualClock(),
        pressure=PressureSet(runner.engine),
        forward_time=ConstantForwardTime(),
    )
    again = TransferEvents(arrived=(Arrival(rid="a", kv_tokens=16, brings_token=False),))
    monkeypatch.setattr(runner.engine.transfers, "take_events", lambda: again)
    recorder.on_step()
    assert recorder.outputs["a"] == 0
    newest = recorder.newest
    assert newest is not None
    assert (newest.arrived_rids, newest.arrived_tokens) == ((), 16)
