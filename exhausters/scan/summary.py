"""What a scan remembers of a commit, and whether two commits differ by it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from exhausters.observe.smallest_effects import COSTS, COUNTS
from exhausters.sweep.record import CRASHED, OUT_OF_MEMORY, TIMEOUT, RunRecord

# It ran; it was prepared, and SGLang broke in every cell before its first step; it could not be prepared.
SCANNED, BROKEN, FAILED = "scanned", "broken", "failed"
# In order: a change of decisions is looked for first.
SAME, WORK, DECISIONS = 0, 1, 2
# A run that ends so tells of no decisions.
NO_RESULT = (CRASHED, TIMEOUT, OUT_OF_MEMORY)


@dataclass(frozen=True, slots=True, kw_only=True)
class CellSummary:
    """What one cell did: outcome, digest of its decisions, counts per step by metric."""

    workload: str
    outcome: str
    decisions: str
    work: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitSummary:
    """What became of a commit.

    Attributes:
        commit: 40 hexadecimal digits.
        status: `scanned`, `broken` or `failed`.
        reason: why it is broken or has failed; else empty.
        seconds: real time that it took, its export included.
        cells: by id; empty for one that has failed.
        can_pass: whether the machine may be to blame, its network or its disk, and not the commit: a later
            call tries it again.
    """

    commit: str
    status: str
    reason: str = ""
    seconds: float = 0.0
    cells: Mapping[str, CellSummary] = field(default_factory=dict)
    can_pass: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the summary in plain values."""
        return {
            "commit": self.commit,
            "status": self.status,
            "reason": self.reason,
            "seconds": round(self.seconds, 2),
            "cells": {
                name: [one.workload, one.outcome, one.decisions, dict(one.work)]
                for name, one in self.cells.items()
            },
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> CommitSummary:
        """Return the summary that `to_json` wrote; raises KeyError, TypeError or ValueError for others."""
        return cls(
            commit=values["commit"],
            status=values["status"],
            reason=values["reason"],
            seconds=values["seconds"],
            cells={
                name: CellSummary(workload=workload, outcome=outcome, decisions=decisions, work=work)
                for name, (workload, outcome, decisions, work) in values["cells"].items()
            },
        )


def summary_of(commit: str, records: Sequence[RunRecord], seconds: float) -> CommitSummary:
    """Return the summary of a commit that was prepared; broken if none of its cells made a step."""
    broken = [one for one in records if one.result.outcome in NO_RESULT and not one.result.log.steps]
    is_broken = len(broken) == len(records)
    return CommitSummary(
        commit=commit,
        status=BROKEN if is_broken else SCANNED,
        reason=broken[0].result.reason if is_broken else "",
        seconds=seconds,
        cells={one.cell.id: _cell(one) for one in records},
    )


def difference(base: CommitSummary, head: CommitSummary) -> int:
    """Return `DECISIONS` if a cell ends or decides otherwise, `WORK` if its counts differ materially."""
    shared = [(one, head.cells[name]) for name, one in base.cells.items() if name in head.cells]
    if any((ours.outcome, ours.decisions) != (theirs.outcome, theirs.decisions) for ours, theirs in shared):
        return DECISIONS
    by_workload: dict[tuple[str, str], list[float]] = {}
    for ours, theirs in shared:
        for name, count in ours.work.items():
            other = theirs.work.get(name, 0.0)
            if count > 0 and other > 0:
                by_workload.setdefault((ours.workload, name), []).append(math.log(other / count))
    for (_, name), ratios in by_workload.items():
        change = abs(math.expm1(math.fsum(ratios) / len(ratios)))
        if change >= COSTS[name.removesuffix("_per_step")].workload:
            return WORK
    return SAME


def _cell(record: RunRecord) -> CellSummary:
    names = [f"{name}_per_step" for name in COUNTS]
    values = {name: record.result.metrics.get(name) for name in names}
    return CellSummary(
        workload=record.cell.workload,
        outcome=record.result.outcome,
        decisions=record.result.log.digest[:16],
        work={name: round(float(value), 4) for name, value in values.items() if value is not None},
    )
