"""One side of a joined pair on a fake engine, with the process between both in the hands of the test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import pytest

from exhausters.engine.api import DECODE_ROLE, PREFILL_ROLE
from exhausters.errors import UnsupportedSettingError
from exhausters.observe.forward_time import ConstantForwardTime
from exhausters.observe.recorder import Recorder
from exhausters.observe.transfer_time import TransferTime
from exhausters.sweep import joined_side
from exhausters.sweep.cell import Cell
from exhausters.sweep.joined_messages import ANSWERED, ARRIVED, SUBMITTED, Go, PairEvent, Ran, Stop
from exhausters.sweep.joined_side import run_side
from exhausters.sweep.record import DRAINED, CellResult
from exhausters.sweep.run_options import DrainLimits, RunOptions
from exhausters.workloads import Request, Segment, Workload
from tests.fakes.fake_engine import FakeConnection, ScriptRunner
from tests.fakes.fake_pair import PairedRunner

_FORWARD_NS = 10_000_000
_IDLE_NS = Recorder.idle_step_ns
# 1,000 ns a token.
_LINK = TransferTime(bytes_per_second=1e9, bytes_per_token=1_000)
_STALL_STEPS = 7


class _Between(FakeConnection):
    """The process between both engines: says what it is given to say, and keeps what it hears."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        return None


def _request(rid: str, *, prompt: int = 64, outputs: int = 3, **more: Any) -> Request:
    return Request(
        rid=rid,
        arrival_seconds=more.pop("at", 0.0),
        prompt=(Segment(seed=ord(rid), length=prompt),),
        max_new_tokens=outputs,
        **more,
    )


_TWO = Workload(
    name="mine", requests=(_request("a"), _request("b", prompt=32)), warmup_requests=(_request("w"),)
)


def _go(*events: PairEvent, until_ns: int | None = None) -> Go:
    return Go(events=events, until_ns=until_ns)


def _event(action: str, rid: str, time_ns: int, number: int = 0) -> PairEvent:
    return PairEvent(time_ns=time_ns, number=number, rid=rid, action=action)


def _run(
    monkeypatch: pytest.MonkeyPatch,
    role: str,
    told: Sequence[Go],
    *,
    workload: Workload = _TWO,
    runner: ScriptRunner | None = None,
) -> tuple[CellResult, list[Ran]]:
    between = _Between([*told, Stop()])
    monkeypatch.setattr(joined_side, "Client", lambda address: between)
    options = RunOptions(
        forward_time=ConstantForwardTime(seconds=_FORWARD_NS / 1e9),
        limits=DrainLimits(stall_steps=_STALL_STEPS),
    )
    runner = runner or PairedRunner(role)
    result = runner.run(run_side, Cell(workload="mine"), workload, "address", options, _LINK)
    (said_role, first), *others = between.replies
    assert said_role == role
    return result, [first, *others]


def _said(ran: Ran) -> list[tuple[str, str, int]]:
    return [(one.action, one.rid, one.time_ns) for one in ran.events]


def test_a_decode_side_tells_what_comes_and_what_has_a_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each request is told once when it arrives and once when its KV has a place, in the step of both."""
    _, (first, ran) = _run(monkeypatch, DECODE_ROLE, [_go()])
    assert first == Ran(next_ns=0)
    assert _said(ran) == [(SUBMITTED, "a", 0), (SUBMITTED, "b", 0), (ANSWERED, "a", 0), (ANSWERED, "b", 0)]
    assert [one.number for one in ran.events] == [1, 2, 3, 4]
    assert (ran.steps, ran.quiet_steps, ran.next_ns) == (1, 0, _IDLE_NS)


def test_a_decode_side_decodes_what_has_arrived(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request emits all its tokens once its KV has come, not before, and then there is nothing to do."""
    arrived = [_event(ARRIVED, "a", 5 * _IDLE_NS), _event(ARRIVED, "b", 6 * _IDLE_NS, 1)]
    result, (_, _, ran) = _run(monkeypatch, DECODE_ROLE, [_go(), _go(*arrived)])
    assert (ran.next_ns, ran.events) == (None, ())
    assert result.outcome == DRAINED
    assert result.metrics["output_tokens"] == 6
    first = next(one for one in result.log if one.rids)
    assert (first.end_ns - _FORWARD_NS, first.rids) == (5 * _IDLE_NS, ("a",))
    assert [rid for one in result.log for rid in one.arrived_rids] == ["a", "b"]
    assert result.provenance["workload_digest"] == _TWO.digest


def test_a_prefill_side_computes_what_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A prompt waits for its answer; the KV of two then takes the link one after the other."""
    told = [_event(SUBMITTED, "a", 0, 1), _event(SUBMITTED, "b", 0, 2), _event(ANSWERED, "a", 0, 3)]
    answered = _event(ANSWERED, "b", 2 * _IDLE_NS, 4)
    gone = [_go(*told, answered), _go(), _go()]
    result, (first, ran, later, done) = _run(monkeypatch, PREFILL_ROLE, gone)
    assert first == Ran(next_ns=None)
    # The loop is not overlapped: what a step computes is sent at its end.
    sent_ns = _FORWARD_NS
    assert _said(ran) == [(ARRIVED, "a", sent_ns + 64_000)]
    assert ran.steps == 1
    assert _said(later)[0][:2] == (ARRIVED, "b")
    assert (done.next_ns, done.events) == (None, ())
    assert result.metrics["output_tokens"] == 2
    assert [one.rids for one in result.log if one.rids] == [("a",), ("b",)]


def test_a_link_carries_one_transfer_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two prompts of one batch are sent at once, and the second arrives a whole transfer later."""
    told = [
        _event(action, rid, 0, number)
        for number, (action, rid) in enumerate(
            [(SUBMITTED, "a"), (SUBMITTED, "b"), (ANSWERED, "a"), (ANSWERED, "b")]
        )
    ]
    result, (_, ran, done) = _run(monkeypatch, PREFILL_ROLE, [_go(*told), _go()])
    assert _said(ran) == [(ARRIVED, "a", _FORWARD_NS + 64_000), (ARRIVED, "b", _FORWARD_NS + 96_000)]
    assert (done.next_ns, done.events) == (None, ())
    assert result.metrics["output_tokens"] == 2  # of each prompt the first token
    assert result.facts is not None


def test_an_overlapped_prefill_side_sends_when_the_next_step_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    """The overlap loop looks at a result beside the next forward: it is sent when that step begins."""
    runner = PairedRunner(PREFILL_ROLE)
    monkeypatch.setattr(runner.engine, "is_overlapped", True)
    told = [_event(SUBMITTED, "a", 0, 1), _event(ANSWERED, "a", 0, 2)]
    _, (_, ran) = _run(monkeypatch, PREFILL_ROLE, [_go(*told)], runner=runner)
    assert _said(ran) == [(ARRIVED, "a", 64_000)]


def test_no_step_begins_after_the_time_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    """A side that is ahead stops: what the other one tells later must find it at that time."""
    later = Workload(name="mine", requests=(_request("a", at=0.5),), warmup_requests=())
    told = [_go(until_ns=400_000_000), _go(until_ns=500_000_000)]
    _, (first, held, ran) = _run(monkeypatch, DECODE_ROLE, told, workload=later)
    assert first.next_ns == held.next_ns == 500_000_000
    assert (held.steps, held.events) == (0, ())
    assert _said(ran) == [(SUBMITTED, "a", 500_000_000), (ANSWERED, "a", 500_000_000)]


def test_a_side_that_waits_in_vain_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    """With nothing to come from the other, quiet steps end after as many as make a stall, and are told."""
    result, (_, _, ran) = _run(monkeypatch, DECODE_ROLE, [_go(), _go()])
    assert (ran.quiet_steps, ran.events) == (_STALL_STEPS, ())
    assert ran.next_ns is not None
    assert len(result.log) == 1 + _STALL_STEPS
    assert result.metrics["unfinished_requests"] == 2


def test_an_engine_that_runs_alone_is_no_side() -> None:
    """An engine without transfers is refused before anything runs."""
    with pytest.raises(UnsupportedSettingError, match="no part of a disaggregated pair"):
        ScriptRunner().run(run_side, Cell(workload="mine"), _TWO, "address", RunOptions(), _LINK)


def test_nothing_stays_watched_when_the_other_process_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A side whose connection ends fails, and leaves the engine as it was."""
    runner = PairedRunner(DECODE_ROLE)
    monkeypatch.setattr(joined_side, "Client", lambda address: _Between([_go()]))
    with pytest.raises(Exception, match="EOFError"):
        runner.run(run_side, Cell(workload="mine"), _TWO, "address", RunOptions(), _LINK)
    assert runner.hook is not None
    assert runner.hook.context.observers == []
    for point in runner.engine.phase_points():
        assert point.name not in vars(point.owner)
