"""The oracles of texts and slots find what is planted into the fake scheduler."""

from __future__ import annotations

from typing import Any

import pytest

from exhausters.engine.api import FREE_PAGE, PADDING_PAGE, WRITTEN_BY_TWO
from exhausters.engine.fake.requests import FakeRequest
from exhausters.engine.fake.scheduler import FakeScheduler
from exhausters.pressure.levels import PressureLevels
from exhausters.sweep.cell import Cell
from exhausters.sweep.drain import run_cell
from exhausters.sweep.record import DRAINED, CellResult
from exhausters.sweep.run_options import CHECKED, RunOptions
from exhausters.workloads import CanaryText, EmittedText, FixedToken, parse_workload
from tests.fakes.fake_engine import ScriptRunner

Patch = pytest.MonkeyPatch
_WORKLOAD = "agents:conversations=4,turns=3"


def checked(*, text: EmittedText, levels: dict[str, Any] | None = None) -> CellResult:
    cell = Cell(workload=_WORKLOAD, levels=PressureLevels(**(levels or {})))
    runner = ScriptRunner(text=text)
    result: CellResult = runner.run(run_cell, cell, parse_workload(_WORKLOAD), RunOptions(passes=(CHECKED,)))
    return result


def broken(result: CellResult) -> dict[str, Any]:
    """The first finding of each promise."""
    assert result.judgement is not None
    return {one.promise: one for one in reversed(result.judgement.findings)}


@pytest.mark.parametrize("levels", [{}, {"leave_pages": 40, "held": True}])
def test_every_request_is_judged(levels: dict[str, Any]) -> None:
    """On the fake as it is each request has its text, the turns that contain earlier outputs included."""
    result = checked(text=CanaryText(), levels=levels)
    assert (result.outcome, broken(result)) == (DRAINED, {})
    assert result.judgement is not None
    judged = {one.promise: one.judged for one in result.judgement.promises}
    assert judged["same text"] == 12
    assert judged["slot ownership"] > 0


def test_a_fixed_token_is_not_judged() -> None:
    """A model without a text has none to be judged, and the answer says so; its page tables are judged."""
    result = checked(text=FixedToken(5))
    assert result.judgement is not None
    reasons = {one.promise: one.not_judged for one in result.judgement.promises}
    assert reasons["same text"] == "the model emits one fixed token"
    assert reasons["slot ownership"] == ""


def test_a_wrong_output_is_named(monkeypatch: Patch) -> None:
    """The request, the first wrong output and what it should be are in the finding."""
    original = FakeScheduler.process_result

    def process_result(self: FakeScheduler, batch: Any) -> None:
        original(self, batch)
        for one in batch.requests:
            if one.rid == "agent-1-0" and len(one.outputs) == 4:
                one.outputs[3] = 1

    monkeypatch.setattr(FakeScheduler, "process_result", process_result)
    found = broken(checked(text=CanaryText()))["same text"]
    assert found.rids == ("agent-1-0",)
    assert found.saw.startswith("output 3 of agent-1-0 is 1, and ")


def _share(scheduler: FakeScheduler, requests: list[FakeRequest]) -> None:
    requests[0].pages[0] = requests[1].pages[-1]


def _free(scheduler: FakeScheduler, requests: list[FakeRequest]) -> None:
    scheduler.pages.free_pages[0] = requests[0].pages[-1]


def _pad(scheduler: FakeScheduler, requests: list[FakeRequest]) -> None:
    requests[0].pages[0] = 0


_ACTS = {WRITTEN_BY_TWO: _share, FREE_PAGE: _free, PADDING_PAGE: _pad}


def faults_after(t: Any, kind: str) -> Any:
    """What the engine says of two running requests before and after something is planted."""
    for number, rid in enumerate("ab", start=1):
        t.start_req(prompt_len=40, prompt_token=number, rid=rid)
    yield
    yield
    before = t.engine.slot_faults()
    _ACTS[kind](t.scheduler, t.list_active_reqs())
    return before, t.engine.slot_faults()


@pytest.mark.parametrize("kind", list(_ACTS))
def test_a_page_in_the_wrong_table(kind: str) -> None:
    """A page of another request, a free one and the padding page are each told, with the request."""
    before, after = ScriptRunner().run(faults_after, kind)
    assert before == ()
    assert {one.kind for one in after} == {kind}
    assert "a" in {one.rid for one in after}
