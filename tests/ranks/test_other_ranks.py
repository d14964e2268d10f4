"""What a recorder makes of the records of other ranks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from exhausters.observe.conservation import PoolCount
from exhausters.observe.forward_time import ForwardTimeModel, LinearForwardTime
from exhausters.observe.other_ranks import RankLogs, RankStep, disagreement
from exhausters.observe.step_record import DECODE, IDLE, StepRecord

_STEP = StepRecord(step=7, mode=DECODE, rids=("a", "b"), tokens=(1, 1), free_tokens=96, forward_ns=500)


class _Ranks:
    """Other ranks that say what they are told to."""

    def __init__(self, *, is_alike: bool = True) -> None:
        self.is_alike = is_alike
        self.said: Mapping[int, Sequence[RankStep]] = {}
        self.calls: list[str] = []

    def start_recording(self, forward_time: ForwardTimeModel) -> None:
        self.calls.append(f"start {forward_time.name}")

    def stop_recording(self) -> None:
        self.calls.append("stop")

    def steps(self) -> Mapping[int, Sequence[RankStep]]:
        return self.said


def _logs(ranks: _Ranks, said: Mapping[int, Sequence[StepRecord]]) -> RankLogs:
    ranks.said = {rank: [RankStep(record=one) for one in steps] for rank, steps in said.items()}
    logs = RankLogs(ranks)
    logs.receive()
    return logs


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("mode", IDLE),
        ("rids", ("b", "a")),
        ("tokens", (1, 2)),
        ("free_tokens", 80),
        ("waiting", 1),
        ("held_tokens", 16),
        ("step", 8),
    ],
)
def test_any_decision_is_compared(field: str, value: object) -> None:
    """A rank that differs in one decision is told with the step, the rank and the field."""
    other = replace(_STEP, **{field: value})  # type: ignore[arg-type]
    found = disagreement(_STEP, other, rank=1)
    assert found is not None
    assert (found.step, found.rank, found.field, found.other) == (7, 1, field, value)
    assert str(found).startswith(f"step 7: rank 1 has {field} = {value!r}, rank 0 has ")


def test_time_is_no_decision() -> None:
    """Modelled time is the first rank's: the others wait, and do not disagree."""
    assert disagreement(_STEP, replace(_STEP, forward_ns=1, end_ns=2), rank=1) is None


def test_ranks_with_requests_of_their_own_are_not_compared() -> None:
    """Data-parallel attention has a log for each rank, and no two are the same; time is one."""
    ranks = _Ranks(is_alike=False)
    own = [replace(_STEP, step=0, end_ns=900)]
    other = replace(_STEP, step=0, rids=("c",), forward_ns=1)
    logs = _logs(ranks, {1: [other]})
    assert logs.disagreements(own) == ()
    (log,) = logs.logs
    assert log.steps == (replace(other, forward_ns=500, end_ns=900),)


@pytest.mark.parametrize(
    ("mode", "own", "others", "expected"),
    [
        (DECODE, 500, [(DECODE, 700)], 700),
        (DECODE, 500, [(IDLE, 1_000)], 500),
        (IDLE, 1_000, [(DECODE, 700)], 700),
        (IDLE, 1_000, [(IDLE, 1_000)], 1_000),
    ],
)
def test_a_step_takes_as_long_as_its_slowest_forward(
    mode: str, own: int, others: list[tuple[str, int]], expected: int
) -> None:
    """Ranks wait for each other's forwards; one that has nothing to run makes no step longer."""
    said = {
        rank: [replace(_STEP, mode=one, forward_ns=duration)]
        for rank, (one, duration) in enumerate(others, 1)
    }
    assert _logs(_Ranks(), said).forward_ns(own, mode) == expected


def test_pools_of_another_rank_are_named() -> None:
    """What does not add up on another rank says on which."""
    count = PoolCount(pool="KV tokens", total=64, free=32, held=0, cached=0, in_use=16)
    ranks = _Ranks()
    ranks.said = {1: [RankStep(record=_STEP, unbalanced=(count,))]}
    logs = RankLogs(ranks)
    logs.start(LinearForwardTime())
    logs.receive()
    assert [one.pool for one in logs.unbalanced()] == ["KV tokens of rank 1"]
    logs.stop()
    assert ranks.calls == ["start linear/1", "stop"]
