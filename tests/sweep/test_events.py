"""Events of a workload happen at the stage they name, and what the workload aborts is not lost."""

from __future__ import annotations

from typing import Any

import pytest

from exhausters.engine.fake.scheduler import FakeScheduler
from exhausters.errors import WorkloadError
from exhausters.pressure.levels import PressureLevels
from exhausters.sweep.cell import Cell, EngineSettings
from exhausters.sweep.drain import run_cell
from exhausters.sweep.record import DRAINED, EVENT_STEPS, CellResult
from exhausters.sweep.run_options import CHECKED, DECIDE, RunOptions
from exhausters.workloads import Request, Segment, Workload, parse_workload
from exhausters.workloads.event import ABORT, ACTIONS, PAUSE_IN_PLACE, PAUSED_STEPS, STAGES, Event
from tests.fakes.fake_engine import ScriptRunner


def run(
    workload: Workload, *, rows: int = 4, passes: tuple[str, ...] = (DECIDE,), **levels: Any
) -> CellResult:
    engine = EngineSettings(max_running_requests=rows)
    cell = Cell(workload=workload.name, engine=engine, levels=PressureLevels(**levels))
    result: CellResult = ScriptRunner(max_running_requests=rows).run(
        run_cell, cell, workload, RunOptions(passes=passes)
    )
    return result


def disturbed(stage: str, action: str = ABORT) -> Workload:
    """Eight requests, the fifth of which is long and has the event."""
    return Workload(
        name="mine",
        requests=tuple(
            Request(
                rid=f"r-{index}",
                arrival_seconds=0.0,
                prompt=(Segment(seed=index, length=600 if index == 4 else 40),),
                max_new_tokens=200,
                events=(Event(action=action, stage=stage),) if index == 4 else (),
            )
            for index in range(8)
        ),
    )


@pytest.mark.parametrize("stage", STAGES)
def test_an_abort_at_each_stage(stage: str) -> None:
    """It happens once, at its stage, and the run drains: what the workload aborts is no lost request."""
    pressed = {"leave_pages": 64} if stage == "retracted" else {}
    result = run(disturbed(stage), rows=8 if stage == "retracted" else 4, **pressed)
    assert result.outcome == DRAINED, result.reason
    assert result.provenance["events"] == {f"abort {stage}": 1}
    assert result.metrics["unfinished_requests"] == 0
    emitted = sum("r-4" in one.rids and one.chunked_rid != "r-4" for one in result.log.steps)
    assert (emitted == 0) == (stage in ("waiting", "chunked"))
    assert (emitted >= 200) == (stage == "finished")


@pytest.mark.parametrize("action", [one for one in ACTIONS if one != ABORT])
def test_a_pause_ends(action: str) -> None:
    """A pause stops every forward for its steps, and then all go on to their end."""
    result = run(disturbed("running", action))
    assert result.outcome == DRAINED
    (began, _, _), (ended, what, _) = result.provenance[EVENT_STEPS]
    assert (what, ended - began) == ("resume", PAUSED_STEPS)
    assert all(one.mode == "idle" for one in result.log.steps[began:ended])
    assert result.metrics["unfinished_requests"] == 0


def test_a_pause_at_the_very_end_is_resumed() -> None:
    """A pause after the last request has ended does not outlast the run."""
    workload = Workload(
        name="mine",
        requests=(
            Request(
                rid="only",
                arrival_seconds=0.0,
                prompt=(Segment(seed=1, length=4),),
                max_new_tokens=3,
                events=(Event(action=PAUSE_IN_PLACE, stage="finished"),),
            ),
        ),
    )
    result = run(workload)
    assert result.outcome == DRAINED
    assert [what for _, what, _ in result.provenance[EVENT_STEPS]] == [PAUSE_IN_PLACE, "resume"]


def test_a_workload_without_events_asks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plain workload does not look for stages."""
    from exhausters.sweep.events import Events

    monkeypatch.setattr(Events, "_stages", lambda *_: pytest.fail("it looked"))
    assert run(parse_workload("bursts:bursts=1")).outcome == DRAINED


def test_the_fake_keeps_its_promises_when_disturbed() -> None:
    """Aborts and pauses at every stage raise no finding on the fake, and all but the aborted end."""
    result = run(parse_workload("disturbed"), passes=(CHECKED,))
    assert result.outcome == DRAINED
    assert result.judgement is not None
    assert result.judgement.findings == ()
    assert len(result.provenance["events"]) >= 10


def test_a_request_that_is_lost_beside_is_still_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the aborted request is excused: another that the scheduler drops is counted."""
    original = FakeScheduler.process_result

    def process_result(self: FakeScheduler, batch: Any) -> None:
        for request in batch.requests:
            request.is_aborted |= request.rid == "r-2"
        original(self, batch)

    monkeypatch.setattr(FakeScheduler, "process_result", process_result)
    result = run(disturbed("running"))
    assert "r-2" in result.reason
    assert "r-4" not in result.reason


def test_unknown_events_are_refused() -> None:
    """An action or stage that there is not is named, with those that there are."""
    with pytest.raises(WorkloadError, match=r"Event\.stage='nowhere': must be one of waiting, chunked"):
        Event(action=ABORT, stage="nowhere")
    with pytest.raises(WorkloadError, match=r"Event\.action='stop': must be one of abort"):
        Event(action="stop", stage="waiting")
