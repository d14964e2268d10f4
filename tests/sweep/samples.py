"""Grids, targets and records that the tests of this folder share."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from exhausters.observe.decision_log import DecisionLog
from exhausters.observe.run_facts import RunFacts
from exhausters.observe.step_record import IDLE, StepRecord
from exhausters.sweep.cell import Cell
from exhausters.sweep.grid import Grid, parse_grid
from exhausters.sweep.record import DRAINED, CellResult, RunRecord
from exhausters.targets import PreparedTarget, parse_target


def a_grid(**axes: Any) -> Grid:
    """A grid named `sample`; the workload is small unless given."""
    return parse_grid({"name": "sample", "axes": {"workload": ["bursts"], **axes}}, source="sample")


def a_target(version: str = "0.5.23") -> PreparedTarget:
    """A target that was never prepared; good for fake hosts only."""
    return PreparedTarget(
        spec=parse_target(f"release:{version}"),
        name=f"release:{version}",
        version=version,
        commit=None,
        dirty=False,
        source_dirs=(Path("nowhere"),),
        python=Path("nowhere/python"),
        pins=(),
        environment_key="none",
        pycache_prefix=None,
    )


def cut_short(record: RunRecord, steps: int) -> RunRecord:
    """The record with the first steps of its log only."""
    result = replace(record.result, log=DecisionLog(record.result.log.steps[:steps]))
    return replace(record, result=result)


def a_record(
    cell: Cell, *, outcome: str = DRAINED, reason: str = "", facts: RunFacts | None = None, **metrics: Any
) -> RunRecord:
    """A record with one idle step."""
    result = CellResult(
        outcome=outcome,
        reason=reason,
        log=DecisionLog((StepRecord(step=0, mode=IDLE),)),
        metrics=metrics,
        provenance={"forward_time_model": "linear/1"},
        facts=facts,
    )
    return RunRecord(cell=cell, target="release:0.5.23", result=result)
