"""The feeder submits what is due in modelled time, and nothing before."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest

from exhausters.engine.clock import VirtualClock
from exhausters.sweep.feeder import Feeder
from exhausters.workloads import Request, Segment


@dataclass
class FakeContext:
    """What a feeder needs of a context: a clock, and somewhere to submit to."""

    clock: VirtualClock = field(default_factory=VirtualClock)
    submitted: list[str] = field(default_factory=list)
    limits: dict[str, int] = field(default_factory=dict)
    has_unreceived: bool = False
    transfers: None = None

    @property
    def engine(self) -> FakeContext:
        return self

    def output_limits(self) -> dict[str, int]:
        return self.limits

    def submit_request(self, request: Request) -> None:
        self.submitted.append(request.rid)


@dataclass
class FakeRecorder:
    """What a feeder needs of a recorder."""

    step_count: int = 0
    outputs: Counter[str] = field(default_factory=Counter)


def _request(rid: str, at: float = 0.0, *, after: str | None = None, outputs: int = 2) -> Request:
    return Request(
        rid=rid,
        arrival_seconds=at,
        prompt=(Segment(seed=1, length=4),),
        max_new_tokens=outputs,
        after=after,
    )


def _feeder(*requests: Request) -> tuple[Any, Any, Feeder]:
    context: Any = FakeContext()
    recorder: Any = FakeRecorder()
    context.clock.advance(100.0)  # what ran before is not the workload's time
    return context, recorder, Feeder(context, requests, recorder)


def test_arrivals_in_modelled_time() -> None:
    """Each request is submitted once, in the first step at or after its arrival, in the workload's order."""
    context, recorder, feeder = _feeder(_request("a"), _request("b"), _request("c", 0.5), _request("d", 0.7))
    feeder.submit_due()
    assert context.submitted == ["a", "b"]
    recorder.step_count = 4
    context.clock.advance(0.5)
    feeder.submit_due()
    feeder.submit_due()
    assert context.submitted == ["a", "b", "c"]
    assert feeder.submitted_steps == {"a": 0, "b": 0, "c": 4}
    assert not feeder.is_done
    context.clock.advance(1)
    feeder.submit_due()
    assert context.submitted[-1] == "d"
    assert feeder.is_done


def test_idle_time_is_skipped() -> None:
    """With nothing to do, the clock moves to the next arrival exactly, and never backwards."""
    context, _, feeder = _feeder(_request("a", 2.5), _request("b", 2.5), _request("c", 9.0))
    feeder.skip_to_next_arrival()
    assert context.clock.elapsed_ns == 102_500_000_000
    feeder.skip_to_next_arrival()
    assert context.clock.elapsed_ns == 102_500_000_000
    feeder.submit_due()
    assert context.submitted == ["a", "b"]
    feeder.skip_to_next_arrival()
    feeder.submit_due()
    assert context.submitted == ["a", "b", "c"]
    feeder.skip_to_next_arrival()
    assert context.clock.elapsed_ns == 109_000_000_000


def test_a_follower_thinks_after_its_forerunner_has_finished() -> None:
    """`arrival_seconds` of a follower counts from the step in which the other emitted its last token."""
    context, recorder, feeder = _feeder(_request("a"), _request("b", 1.0, after="a"))
    feeder.submit_due()
    recorder.outputs["a"] = 1
    context.clock.advance(5)
    feeder.submit_due()
    assert context.submitted == ["a"]
    recorder.outputs["a"] = 2
    feeder.submit_due()  # finished: due in one second
    context.clock.advance(0.9)
    feeder.submit_due()
    assert context.submitted == ["a"]
    context.clock.advance(0.2)
    feeder.submit_due()
    assert context.submitted == ["a", "b"]


def test_a_follower_of_an_aborted_request_comes_when_all_is_idle() -> None:
    """A forerunner that was aborted has ended too: an idle engine proves it, and the follower becomes due."""
    context, _, feeder = _feeder(_request("a"), _request("b", 3.0, after="a"), _request("c", 0.0, after="b"))
    feeder.submit_due()
    assert not feeder.is_done
    feeder.skip_to_next_arrival()
    feeder.submit_due()
    assert context.submitted == ["a", "b"]
    assert not feeder.is_done
    feeder.submit_due()
    assert context.submitted == ["a", "b", "c"]
    assert feeder.is_done
    assert feeder.unfinished_rids == ["a", "b", "c"]


@pytest.mark.parametrize(("emitted", "unfinished"), [(0, ["a"]), (1, ["a"]), (2, [])])
def test_unfinished_requests_are_short_of_tokens(emitted: int, unfinished: list[str]) -> None:
    """A request is finished when it has emitted all the tokens it asked for."""
    _, recorder, feeder = _feeder(_request("a"))
    recorder.outputs["a"] = emitted
    assert feeder.unfinished_rids == unfinished


def test_a_request_that_is_cut_short_is_finished_with_what_it_may_emit() -> None:
    """A lower limit of the scheduler's own is what a request is to emit; a limit of nothing loses it."""
    context, recorder, feeder = _feeder(*(_request(rid, outputs=8) for rid in ("cut", "full", "refused")))
    feeder.submit_due()
    context.limits, context.has_unreceived = {"cut": 3}, True
    feeder.read_limits()
    assert feeder.shortened_outputs == {}  # what is not received yet has no limit yet
    context.limits, context.has_unreceived = {"cut": 3, "full": 8, "refused": 0}, False
    feeder.read_limits()
    assert feeder.shortened_outputs == {"cut": 8}
    assert feeder.wanted_outputs == {"cut": 3, "full": 8, "refused": 8}
    recorder.outputs.update({"cut": 3, "full": 8})
    assert feeder.unfinished_rids == ["refused"]
