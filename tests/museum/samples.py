"""An exhibit and runs of it, made up."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from benchmarks.museum.exhibit import PUT_BACK, Exhibit
from benchmarks.museum.put_back import Patch
from exhausters.observe.decision_log import DecisionLog
from exhausters.observe.step_record import DECODE, StepRecord
from exhausters.oracles import Finding, Judgement
from exhausters.sweep.cell import Cell
from exhausters.sweep.record import DRAINED, CellResult
from exhausters.workloads import parse_workload

FINDING = Finding(promise="full flag", wants="room", saw="a batch of 1 is marked", step=4, first_step=1)


def an_exhibit(**changes: Any) -> Exhibit:
    """A bug that is put back, which the full flag sees."""
    made = Exhibit(
        pr=7,
        title="Fix a | bug",
        promise="full flag",
        form=PUT_BACK,
        detector="full flag",
        shown="Four requests",
        builds=("0.5.23",),
        patches=(Patch(file="json/decoder.py", code="JSONDecoder = None\n"),),
        cell=Cell(workload="agents"),
        workload=parse_workload("agents"),
    )
    return replace(made, **changes)


def a_result(*findings: Finding, outcome: str = DRAINED, reason: str = "", **metrics: float) -> CellResult:
    """What a run of five steps shows."""
    log = DecisionLog(tuple(StepRecord(step=number, mode=DECODE, rids=("a",)) for number in range(5)))
    judgement = Judgement(findings=findings, promises=())
    return CellResult(outcome=outcome, reason=reason, log=log, metrics=metrics, judgement=judgement)
