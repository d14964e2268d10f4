"""Each oracle finds a break that is planted into the fake scheduler, and says nothing of one without."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest

from exhausters.engine.fake.page_trie import PageTrie
from exhausters.engine.fake.scheduler import FakeScheduler
from exhausters.observe.step_record import DECODE, IDLE, StepRecord
from exhausters.oracles import PROMISES, Judgement
from exhausters.oracles.base import World
from exhausters.oracles.liveness import LIVELOCKED, STALLED, STARVED, Liveness, steps_to_drain
from exhausters.oracles.room import STEPS_TO_ADMIT
from exhausters.pressure import PressureSet
from exhausters.pressure.levels import PressureLevels
from exhausters.sweep.cell import Cell
from exhausters.sweep.drain import run_cell
from exhausters.sweep.record import DRAINED, CellResult
from exhausters.sweep.record import STALLED as RUN_STALLED
from exhausters.sweep.run_options import CHECKED, DECIDE, DrainLimits, RunOptions
from exhausters.workloads import FixedToken, parse_workload
from tests.fakes.fake_engine import ScriptRunner

Patch = pytest.MonkeyPatch
ROOMY = {"max_total_tokens": 1 << 16}


def checked(workload: str = "agents:conversations=4,turns=3", **settings: Any) -> CellResult:
    levels = PressureLevels(**settings.pop("levels", {}))
    cell = Cell(workload=workload, levels=levels)
    options = RunOptions(passes=(settings.pop("run_pass", CHECKED),), limits=DrainLimits(max_steps=2000))
    result: CellResult = ScriptRunner(**settings).run(run_cell, cell, parse_workload(workload), options)
    return result


def broken(result: CellResult) -> dict[str, Any]:
    """The first finding of each promise."""
    assert result.judgement is not None
    return {one.promise: one for one in reversed(result.judgement.findings)}


def answers(judgement: Judgement | None) -> dict[str, int]:
    assert judgement is not None
    return {one.promise: one.judged for one in judgement.promises}


def act_at(patch: Patch, step: int, act: Callable[[FakeScheduler], None]) -> None:
    """Act on the scheduler when it forms its batch number `step`."""
    original, formed = FakeScheduler.form_batch, [0]

    def form_batch(self: FakeScheduler) -> Any:
        formed[0] += 1
        if formed[0] == step:
            act(self)
        return original(self)

    patch.setattr(FakeScheduler, "form_batch", form_batch)


@pytest.mark.parametrize("workload", ["agents:conversations=4,turns=3", "long_context:requests=12"])
@pytest.mark.parametrize("levels", [{}, {"leave_pages": 40}, {"leave_rows": 2, "held": True}])
def test_a_scheduler_that_keeps_its_promises_is_not_accused(workload: str, levels: dict[str, Any]) -> None:
    """Nothing is found on the fake as it is, whatever pressure it is under."""
    assert broken(checked(workload, levels=levels)) == {}


def test_judging_changes_no_decision() -> None:
    """A checked pass decides what a plain one decides; only it has a judgement."""
    judged, plain = checked(), checked(run_pass=DECIDE)
    assert judged.log.digest == plain.log.digest
    assert plain.judgement is None
    assert set(answers(judged.judgement)) == {one.name for one in PROMISES}


def test_a_request_that_is_passed_over(monkeypatch: Patch) -> None:
    """Work conservation names the step, the request that waits, and for how many steps it did."""
    original = FakeScheduler._admit
    refused = [0]

    def admit(self: FakeScheduler, request: Any) -> bool:
        if request.rid == "agent-2-0" and refused[0] < 10:
            refused[0] += 1
            return False
        return original(self, request)

    monkeypatch.setattr(FakeScheduler, "_admit", admit)
    found = broken(checked(**ROOMY))
    assert set(found) == {"work conservation"}
    assert found["work conservation"].rids == ("agent-2-0",)
    assert found["work conservation"].steps == 10
    assert found["work conservation"].step == found["work conservation"].first_step + STEPS_TO_ADMIT - 1


def test_a_short_delay_is_no_finding(monkeypatch: Patch) -> None:
    """A step less than the bound is what an overlapped scheduler may take."""
    original = FakeScheduler._admit
    refused = [0]

    def admit(self: FakeScheduler, request: Any) -> bool:
        if request.rid == "agent-2-0" and refused[0] < STEPS_TO_ADMIT - 1:
            refused[0] += 1
            return False
        return original(self, request)

    monkeypatch.setattr(FakeScheduler, "_admit", admit)
    assert broken(checked(**ROOMY)) == {}
    assert refused[0] == STEPS_TO_ADMIT - 1


def test_a_mark_that_stays(monkeypatch: Patch) -> None:
    """A running batch that stays marked as full is found, and the requests that it keeps out."""
    act_at(monkeypatch, 20, lambda scheduler: setattr(scheduler, "is_marked_full", True))
    act_at(monkeypatch, 60, lambda scheduler: setattr(scheduler, "is_marked_full", False))
    found = broken(checked(**ROOMY))
    assert set(found) == {"full flag", "work conservation"}
    assert "marked as full" in found["full flag"].saw
    assert found["work conservation"].cause == "marked full"


def test_a_mark_that_keeps_nobody_out(monkeypatch: Patch) -> None:
    """A mark is no finding while nobody waits."""
    marks: list[bool] = []
    original = FakeScheduler.form_batch

    def form_batch(self: FakeScheduler) -> Any:
        self.is_marked_full = bool(self.running.requests)
        marks.append(self.is_marked_full)
        return original(self)

    monkeypatch.setattr(FakeScheduler, "form_batch", form_batch)
    assert broken(checked("agents:conversations=1,turns=3,warmup_leaves=0")) == {}
    assert any(marks)


def test_a_mark_that_is_left_behind(monkeypatch: Patch) -> None:
    """A mark on the idle engine is tried with a request before a reset takes it off, outside the log."""
    workload = "agents:conversations=1,turns=1,warmup_leaves=0"
    plain = checked(workload)
    act_at(monkeypatch, 10, lambda scheduler: setattr(scheduler, "is_marked_full", True))
    result = checked(workload)
    assert {one.cause for one in broken(result).values()} == {"idle engine"}
    assert result.log.digest == plain.log.digest


def test_a_lock_that_is_kept(monkeypatch: Patch) -> None:
    """A lock that outlives its request is found, while others run or when the engine is idle."""
    original = PageTrie.unlock
    kept = [False]

    def unlock(self: PageTrie, node: Any) -> None:
        if not kept[0] and node is not self.root:
            kept[0] = True
            return
        original(self, node)

    monkeypatch.setattr(PageTrie, "unlock", unlock)
    assert set(broken(checked(**ROOMY))) == {"lock ledger"}


def test_a_request_that_never_comes_in(monkeypatch: Patch) -> None:
    """What does not drain after the release is a finding: stalled, with what waits and what is free."""
    original = FakeScheduler._admit
    monkeypatch.setattr(
        FakeScheduler,
        "_admit",
        lambda self, request: request.rid != "agent-1-0" and original(self, request),
    )
    result = checked(**ROOMY)
    found = broken(result)
    assert result.outcome == RUN_STALLED
    assert found["liveness"].cause == STALLED
    assert "agent-1-0" in found["liveness"].rids


def test_pressure_alone_is_no_finding() -> None:
    """A run that its pressure stalls drains once that is released, and keeps its promises."""
    result = checked(levels={"leave_rows": 0, "held": True})
    assert result.outcome == RUN_STALLED
    assert broken(result) == {}
    assert answers(result.judgement)["liveness"] == 1


def test_a_retraction_without_need(monkeypatch: Patch) -> None:
    """A retraction while pages are free is found in its step."""
    original, calls = FakeScheduler._has_room_to_decode, [0]

    def has_room(self: FakeScheduler) -> bool:
        calls[0] += 1
        return calls[0] != 15 and original(self)

    monkeypatch.setattr(FakeScheduler, "_has_room_to_decode", has_room)
    found = broken(checked(**ROOMY))
    assert set(found) == {"budget honesty"}


def test_a_retraction_for_want_of_pages() -> None:
    """A retraction that was needed is judged, and is none."""
    result = checked("retraction_storm:requests=16", levels={"leave_pages": 40})
    assert result.metrics["retractions"]
    assert answers(result.judgement)["budget honesty"] > 0
    assert broken(result) == {}


def test_a_finished_request_that_is_forgotten(monkeypatch: Patch) -> None:
    """A next turn that does not find its conversation again is found, though nothing was evicted."""
    monkeypatch.setattr(PageTrie, "insert", lambda self, tokens, pages: self._pool.free(pages))
    found = broken(checked(**ROOMY))
    assert set(found) == {"cache honesty"}
    assert "nothing was evicted" in found["cache honesty"].saw


def test_what_is_not_judged_is_said() -> None:
    """Without a cache there is nothing to be honest about, and the answer says so."""
    result = checked(disable_radix_cache=True)
    assert result.outcome == DRAINED
    assert result.judgement is not None
    reasons = {one.promise: one.not_judged for one in result.judgement.promises}
    assert reasons["cache honesty"] == reasons["lock ledger"] == "the radix cache is off"


def _step(number: int, mode: str, *rids: str, retracted: tuple[str, ...] = ()) -> StepRecord:
    return StepRecord(step=number, mode=mode, rids=rids, retracted_rids=retracted, dropped_rids=retracted)


@pytest.mark.parametrize(
    ("steps", "kind"),
    [
        ([_step(number, IDLE) for number in range(9)], STALLED),
        ([_step(number, DECODE, "a") for number in range(9)], STARVED),
        ([_step(number, DECODE, "a", retracted=("a",)) for number in range(9)], LIVELOCKED),
    ],
)
def test_how_a_run_is_stuck(steps: list[StepRecord], kind: str) -> None:
    """No forward at all, forwards for others, forwards whose tokens are thrown away: three kinds of stuck."""
    engine: Any = ScriptRunner().engine
    world = World(
        engine=engine,
        facts=engine.facts(),
        pressure=PressureSet(engine),
        requests=cast(Any, None),  # this oracle does not ask
        text=FixedToken(5),
    )
    oracle = Liveness(world)
    for step in steps:
        oracle.on_step(step)
    oracle.on_stuck(bound_steps=5, released_step=0)
    assert [one.cause for one in oracle.findings] == [kind]


def test_the_bound_grows_with_the_work() -> None:
    """A request more, an output more or a smaller chunk never lowers the bound."""
    one = steps_to_drain([(512, 16)], chunk_tokens=256)
    assert steps_to_drain([(512, 16), (1, 1)], chunk_tokens=256) > one
    assert steps_to_drain([(512, 17)], chunk_tokens=256) > one
    assert steps_to_drain([(512, 16)], chunk_tokens=128) > one
