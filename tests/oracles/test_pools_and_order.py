"""Pools that do not add up, and requests that are overtaken: found on the fake scheduler where planted."""

from __future__ import annotations

from collections import Counter
from typing import Any, cast

import pytest

from exhausters.engine.fake.scheduler import FakeScheduler
from exhausters.errors import ConservationError
from exhausters.observe.step_record import PREFILL, StepRecord
from exhausters.oracles.base import World
from exhausters.oracles.starvation import StarvationBound
from exhausters.pressure import PressureSet
from exhausters.sweep.record import DRAINED
from exhausters.sweep.run_options import DECIDE
from exhausters.workloads import FixedToken
from tests.fakes.fake_engine import ScriptRunner
from tests.oracles.test_on_the_fake import ROOMY, act_at, answers, broken, checked

Patch = pytest.MonkeyPatch


def lose_a_page(scheduler: FakeScheduler) -> None:
    scheduler.pages.allocate(1)


def give_a_page_twice(scheduler: FakeScheduler) -> None:
    scheduler.pages.free_pages.append(1 << 20)


@pytest.mark.parametrize(
    ("act", "cause"), [(lose_a_page, "KV tokens leaked"), (give_a_page_twice, "KV tokens counted twice")]
)
def test_a_page_that_is_lost_or_there_twice(monkeypatch: Patch, act: Any, cause: str) -> None:
    """A pool that does not add up is told once, with its numbers, and the run goes on to its end."""
    act_at(monkeypatch, 20, act)
    result = checked(**ROOMY)
    assert result.outcome == DRAINED
    assert result.judgement is not None
    (found,) = [one for one in result.judgement.findings if one.promise == "conservation"]
    assert found.cause == cause
    assert found.steps > 1
    assert "16 KV tokens" in found.saw
    assert "!= total 65536" in found.saw


def test_other_passes_raise(monkeypatch: Patch) -> None:
    """A pass without oracles ends at the first step that does not add up."""
    act_at(monkeypatch, 20, lose_a_page)
    with pytest.raises(ConservationError, match="leaked"):
        checked(run_pass=DECIDE, **ROOMY)


def test_a_lost_page_is_back_after_a_reset(monkeypatch: Patch) -> None:
    """A worker in which a page was lost can be used again: the next run adds up."""
    from exhausters.sweep.cell import Cell
    from exhausters.sweep.drain import run_cell
    from exhausters.sweep.run_options import CHECKED, RunOptions
    from exhausters.workloads import parse_workload

    act_at(monkeypatch, 20, lose_a_page)
    runner, cell = ScriptRunner(**ROOMY), Cell(workload="bursts:bursts=1")
    arguments = (cell, parse_workload(cell.workload), RunOptions(passes=(CHECKED,)))
    assert "conservation" in broken(runner.run(run_cell, *arguments))
    monkeypatch.undo()
    assert broken(runner.run(run_cell, *arguments)) == {}


def test_a_request_that_is_overtaken(monkeypatch: Patch) -> None:
    """First come, first served: whoever is prefilled before one that came earlier is named."""
    original = FakeScheduler._prefill_batch

    def last_first(self: FakeScheduler) -> Any:
        self.queue.reverse()
        try:
            return original(self)
        finally:
            self.queue.reverse()

    monkeypatch.setattr(FakeScheduler, "_prefill_batch", last_first)
    result = checked("long_context:requests=12", max_running_requests=2)
    found = broken(result)["starvation bound"]
    overtaken, by = found.rids
    first = {rid: step.step for step in reversed(result.log.steps) for rid in step.rids}
    assert first[by] == found.step < first[overtaken]


def test_order_is_judged_only_among_those_that_wait() -> None:
    """Where everybody waits for their turn and takes it, the rule was applied and nothing is found."""
    result = checked("long_context:requests=12", max_running_requests=2)
    assert answers(result.judgement)["starvation bound"] > 0
    assert broken(result) == {}


class _Queue:
    """What the oracle asks an engine: who waits, and with which priority."""

    def __init__(self, *steps: dict[str, int | None]) -> None:
        self.steps = list(steps)

    def why_unordered(self) -> str:
        return ""

    def waiting_priorities(self) -> dict[str, int | None]:
        return self.steps.pop(0)


def _order(*steps: tuple[dict[str, int | None], tuple[str, ...]]) -> StarvationBound:
    """The oracle after these steps: who waits after each, and who was prefilled in it."""
    engine: Any = _Queue(*(waiting for waiting, _ in steps))
    real: Any = ScriptRunner().engine
    world = World(
        engine=engine,
        facts=real.facts(),
        pressure=PressureSet(real),
        requests=cast(Any, None),
        text=FixedToken(5),
    )
    oracle = StarvationBound(world)
    for number, (waiting, prefilled) in enumerate(steps):
        oracle.on_step(StepRecord(step=number, mode=PREFILL, rids=prefilled, waiting=len(waiting)))
    return oracle


@pytest.mark.parametrize(
    ("priorities", "is_found"), [((None, None), True), ((1, 1), True), ((0, 1), False), ((1, 0), False)]
)
def test_priorities_may_overtake(priorities: tuple[Any, Any], is_found: bool) -> None:
    """A later request of another priority may come first; one of the same may not."""
    early, late = priorities
    oracle = _order(
        ({"early": early}, ()), ({"early": early, "late": late}, ()), ({"early": early}, ("late",))
    )
    assert Counter(one.rids for one in oracle.findings) == ({("early", "late"): 1} if is_found else {})


def test_who_has_run_before_is_not_overtaken() -> None:
    """A request that was retracted queues up again wherever the engine likes."""
    oracle = _order(({}, ("early",)), ({"early": None}, ()), ({"early": None, "late": None}, ()))
    oracle.world.engine.steps.append({"early": None})  # type: ignore[attr-defined]
    oracle.on_step(StepRecord(step=3, mode=PREFILL, rids=("late",), waiting=1))
    assert oracle.findings == []


def test_one_that_arrives_with_a_priority_is_not_judged() -> None:
    """A request that never waited may have any priority: where they count, it accuses nobody."""
    assert _order(({"early": 0}, ()), ({"early": 0}, ("late",))).findings == []
