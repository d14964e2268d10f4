"""What became of one outcome or cost of one workload."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from reports.detect.materiality import Change


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What became of one outcome or cost of one workload.

    Attributes:
        workload: its text.
        settings: the engine settings of its cells in words, where the workload runs with several and this is
            about one of them ("with page_size=1"); empty for all of them.
        metric: name; `outcome` for how the runs ended.
        role: `outcome` or `cost`.
        unit, better: of the metric.
        verdict: `worse` or `better` (it matters), `neutral` (it differs), `same`, `undecided`, or `changed`:
            what something else overrules: a count by measured CPU time, a gain by lost requests, the number
            of a workload by those of the settings in which all of it moved.
        change: over all cells that drained on both sides.
        by_pressure: the same for the cells without, with some and under tight pressure.
        pressures: those of them in which it moved enough by itself, in the direction of the verdict.
        cells: how many cells the number is over.
        worse_cells, better_cells: cells that moved by more than the smallest effect of a cell.
        threshold: the smallest effect that it was judged by.
        rule: what decided, for `--explain`.
        interval: of a paired test, as text: "+2.5 to +5.8 %"; else empty.
        doubt: why a paired test could not tell, one of those of `paired_tests`; else empty.
        reasons: of how runs ended: each reason once.
    """

    workload: str
    metric: str
    role: str
    unit: str
    better: str
    verdict: str
    change: Change | None
    by_pressure: Mapping[str, Change] = field(default_factory=dict)
    pressures: tuple[str, ...] = ()
    cells: int = 0
    worse_cells: tuple[str, ...] = ()
    better_cells: tuple[str, ...] = ()
    threshold: float = 0.0
    rule: str = ""
    interval: str = ""
    doubt: str = ""
    reasons: tuple[str, ...] = ()
    settings: str = ""

    @property
    def closeness(self) -> float:
        """The size in smallest effects, so that percentages and differences can be put in order."""
        if self.change is None:
            return math.inf
        size = abs(self.change.size)
        return size / self.threshold if self.threshold else math.inf if size else 0.0
