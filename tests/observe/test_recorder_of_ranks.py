"""The recorder of an engine of several ranks, beside another rank that says what the test gives it to say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from exhausters.errors import ConservationError, RanksDisagreeError
from exhausters.observe.conservation import PoolCount
from exhausters.observe.forward_time import ConstantForwardTime, ForwardTimeModel
from exhausters.observe.other_ranks import RankStep
from exhausters.observe.recorder import Recorder
from exhausters.observe.step_record import DECODE, StepRecord
from tests.fakes.fake_engine import ScriptRunner


class _Ranks:
    """Another rank, which says of each step what it is given to say."""

    is_alike = True

    def __init__(self, said: Sequence[RankStep]) -> None:
        self._said = list(said)
        self.calls: list[str] = []

    def start_recording(self, forward_time: ForwardTimeModel) -> None:
        self.calls.append("start")

    def stop_recording(self) -> None:
        self.calls.append("stop")

    def steps(self) -> Mapping[int, Sequence[RankStep]]:
        return {1: [self._said.pop(0)]} if self._said else {}


def beside_another_rank(t: Any, ranks: _Ranks, raises: bool) -> Any:
    recorder = Recorder(
        engine=t.engine,
        clock=t.clock,
        pressure=t.pressure,
        forward_time=ConstantForwardTime(seconds=0.5),
        raises=raises,
        ranks=ranks,
    )
    recorder.start()
    t.observers.append(recorder)
    found = []
    t.start_req(rid="a", prompt_len=40, max_new_tokens=2)
    for _ in range(2):
        yield
        found.append((recorder.disagreements, recorder.unbalanced))
    recorder.stop()
    return recorder.log, recorder.rank_logs, found, dict(recorder.outputs)


def _same_steps() -> tuple[StepRecord, ...]:
    """What the fake engine records of that request."""
    log, *_ = ScriptRunner().run(beside_another_rank, _Ranks(()), True)
    return tuple(log)


_LEAK = PoolCount(pool="KV tokens", total=4096, free=4064, held=0, cached=0, in_use=16)


def test_a_rank_that_decides_alike_is_logged_beside_the_first() -> None:
    """Its log is the first rank's, its recording is started and stopped with it, and nothing is found."""
    steps = _same_steps()
    ranks = _Ranks([RankStep(record=one) for one in steps])
    log, rank_logs, found, _ = ScriptRunner().run(beside_another_rank, ranks, True)
    assert rank_logs == (log,)
    assert found == [((), ())] * 2
    assert ranks.calls == ["start", "stop"]


def test_a_step_takes_as_long_as_its_slowest_rank() -> None:
    """A forward of another rank that is longer than the first's moves the clock; its own requests count."""
    slow = RankStep(record=StepRecord(step=0, mode=DECODE, forward_ns=700_000_000), outputs={"z": 3})
    ranks = _Ranks([slow])
    ranks.is_alike = False
    log, _, _, outputs = ScriptRunner().run(beside_another_rank, ranks, True)
    assert [one.forward_ns for one in log] == [700_000_000, 500_000_000]
    assert outputs == {"a": 2, "z": 3}


@pytest.mark.parametrize(
    ("wrong", "error"),
    [({"rids": ("b",)}, RanksDisagreeError), ({"unbalanced": (_LEAK,)}, ConservationError)],
)
def test_a_rank_that_is_wrong_is_raised_or_told(wrong: dict[str, Any], error: type[Exception]) -> None:
    """A rank that decides otherwise, or whose pools do not add up, ends a run, or is told where asked to."""
    first, second = _same_steps()
    unbalanced = wrong.get("unbalanced", ())
    record = replace(second, rids=wrong.get("rids", second.rids))
    said = [RankStep(record=first), RankStep(record=record, unbalanced=unbalanced)]
    with pytest.raises(error, match=r"step 1: .*rank 1"):
        ScriptRunner().run(beside_another_rank, _Ranks(said), True)
    *_, found, _ = ScriptRunner().run(beside_another_rank, _Ranks(said), False)
    assert found[0] == ((), ())
    disagreements, counts = found[1]
    assert [one.field for one in disagreements] == (["rids"] if "rids" in wrong else [])
    assert [one.pool for one in counts] == (["KV tokens of rank 1"] if unbalanced else [])
