"""What is asked of each commit: does it decide as GOOD does, or is a metric nearer to BAD's value."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Protocol

from exhausters.bisect.doubt import is_doubtful
from exhausters.errors import UsageError
from exhausters.observe.metrics import HOST, METRICS, WORK
from exhausters.sweep.record import CRASHED, OUT_OF_MEMORY, TIMEOUT, UNSUPPORTED, RunRecord
from exhausters.sweep.same_result import WORK_TOLERANCE, decisions_differ

# The records of a commit, one per cell, in the grid's order.
Records = Sequence[RunRecord]
_FAILED = (CRASHED, TIMEOUT, OUT_OF_MEMORY)


class Question(Protocol):
    """Tells good commits from bad ones by their records."""

    @property
    def text(self) -> str:
        """What is asked, in a few words."""

    @property
    def count_work(self) -> bool:
        """Whether the runs must count work."""

    def unusable(self, records: Records) -> str:
        """Why a commit cannot be judged by its records; empty if it can."""

    def differ(self, good: Records, bad: Records) -> bool:
        """Whether the two ends differ at all."""

    def is_bad(self, records: Records, *, good: Records, bad: Records) -> bool:
        """Whether a commit belongs to BAD's side."""

    def changes(self, before: Records, after: Records) -> list[str]:
        """Return what differs between two commits, a line per cell."""


@dataclass(frozen=True, slots=True)
class Decisions:
    """Good is whatever has GOOD's outcome and decision log in every cell."""

    text = "decisions"
    count_work = False

    def unusable(self, records: Records) -> str:
        """A cell without a step, one that the machine may have stopped, or a switch that it does not have."""
        for record in records:
            result = record.result
            says_nothing = is_doubtful(record) or not result.log.steps
            if result.outcome == UNSUPPORTED or (result.outcome in _FAILED and says_nothing):
                return f"{record.cell.id}: {result.outcome}: {result.reason}"
        return ""

    def differ(self, good: Records, bad: Records) -> bool:
        """Any cell decides otherwise or ends otherwise."""
        return _decided(good) != _decided(bad)

    def is_bad(self, records: Records, *, good: Records, bad: Records) -> bool:
        """Not as GOOD, even if it is not as BAD either."""
        return _decided(records) != _decided(good)

    def changes(self, before: Records, after: Records) -> list[str]:
        """The first divergence of each cell that has one."""
        lines = []
        for base, head in zip(before, after, strict=True):
            clauses = []
            if base.result.outcome != head.result.outcome:
                clauses.append(f"outcome {base.result.outcome} → {head.result.outcome}")
            if sentence := decisions_differ(base.result, head.result):
                clauses.append(sentence)
            if clauses:
                lines.append(f"{head.cell.id}: {'; '.join(clauses)}")
        return lines


@dataclass(frozen=True, slots=True)
class MetricTotal:
    """Bad is a commit whose total over the cells is nearer to BAD's than to GOOD's; halfway is good."""

    name: str

    def __post_init__(self) -> None:
        metric = METRICS.get(self.name)
        if metric is None:
            near = ", ".join(get_close_matches(self.name, METRICS)) or ", ".join(list(METRICS)[:5]) + ", …"
            raise UsageError(f"--metric {self.name!r}: no such metric; expected one such as {near}")
        if metric.kind == HOST:
            raise UsageError(
                f"--metric {self.name!r}: host time differs from run to run; expected an exact metric "
                "(see docs/metrics.md), or compare two commits with `exhausters pair`"
            )

    @property
    def text(self) -> str:
        """The metric."""
        return f"metric {self.name}"

    @property
    def count_work(self) -> bool:
        """Only a count needs the second pass."""
        return METRICS[self.name].kind == WORK

    def unusable(self, records: Records) -> str:
        """A cell that failed, or has no such value."""
        for record in records:
            result = record.result
            # What a run that was cut short has measured is no total.
            if result.outcome in _FAILED or result.metrics.get(self.name) is None:
                said = f" {result.reason}" if result.reason else ""
                return f"{record.cell.id}: {result.outcome},{said} no {self.name}"
        return ""

    def differ(self, good: Records, bad: Records) -> bool:
        """The totals are not equal; for counted work, not within its tolerance."""
        tolerance = WORK_TOLERANCE if self.count_work else 0.0
        return not math.isclose(self.total(good), self.total(bad), rel_tol=tolerance, abs_tol=0.0)

    def is_bad(self, records: Records, *, good: Records, bad: Records) -> bool:
        """Nearer to BAD's total."""
        value = self.total(records)
        return abs(value - self.total(bad)) < abs(value - self.total(good))

    def changes(self, before: Records, after: Records) -> list[str]:
        """The total, then each cell in which the value changed."""
        lines = [f"total over {len(after)} cells: {_shown(self.total(before))} → {_shown(self.total(after))}"]
        for base, head in zip(before, after, strict=True):
            ours, theirs = (_value(one.result.metrics, self.name) for one in (base, head))
            if ours != theirs:
                lines.append(f"{head.cell.id}: {_shown(ours)} → {_shown(theirs)}")
        return lines

    def total(self, records: Records) -> float:
        """Return the sum over the cells."""
        return math.fsum(_value(record.result.metrics, self.name) for record in records)


def question(metric: str | None) -> Question:
    """Return what a user asks for: a metric, or decisions; raises UsageError for one that cannot be asked."""
    return Decisions() if metric is None else MetricTotal(metric)


def _decided(records: Records) -> list[tuple[str, str]]:
    return [(record.result.outcome, record.result.log.digest) for record in records]


def _value(metrics: Mapping[str, float | int | None], name: str) -> float:
    value = metrics[name]
    assert value is not None, "a commit without a value is not judged"
    return float(value)


def _shown(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:,.2f}"
