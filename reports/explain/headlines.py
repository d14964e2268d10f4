"""Metrics that moved together under one headline, the most important first."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from exhausters.observe.metrics import DECISION, HOST, MODELLED, WORK
from reports.detect.thresholds import GROUP_OVERLAP
from reports.explain.axes import AxisTable
from reports.explain.regions import Where, where
from reports.vocabulary import BETTER, BROKEN, CHANGED, DECISION_LOG, OUTCOME, UNDECIDED, WORSE

Floats = NDArray[np.float64]

# What a reader cares about first: how runs end, what a user would feel, what it costs, what was decided.
_KIND_ORDER = (OUTCOME, MODELLED, HOST, DECISION, WORK, DECISION_LOG)
_VERDICT_ORDER = (BROKEN, WORSE, UNDECIDED, BETTER, CHANGED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """One metric with one verdict, over all cells that have it.

    Attributes:
        metric, kind, unit, verdict: of those rows.
        cells: their cells.
        change: what happened to the value, as text: "+38 %", "0 to 12", "" for outcomes.
        log_change: logarithm of the ratio of head and base over the cells; 0 where there is none.
        reasons: the rows' reasons without repetition, most frequent first.
        largest_cell: the cell with the largest change.
    """

    metric: str
    kind: str
    unit: str
    verdict: str
    cells: tuple[str, ...]
    change: str
    log_change: float
    reasons: tuple[str, ...]
    largest_cell: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """A group of movements: the most important one, where it is, and those that changed with it."""

    lead: Movement
    where: Where
    others: tuple[Movement, ...]

    @property
    def text(self) -> str:
        """One sentence: where, what, by how much."""
        lead = self.lead
        what = lead.metric.replace("_", " ")
        happened = lead.change or "; ".join((lead.verdict, *lead.reasons[:2]))
        if lead.kind == OUTCOME:
            what, happened = "", "; ".join(lead.reasons[:2]) or lead.verdict
        if lead.metric == DECISION_LOG:
            what, happened = "decisions", "differ, and no metric is worse or better"
        return f"{self.where}: {what} {happened}".replace("  ", " ")


def headlines(verdicts: pd.DataFrame, table: AxisTable) -> tuple[Headline, ...]:
    """Return the headlines of a comparison, most important first.

    A decision log that differs is a headline only in cells where no metric is worse or better.

    Args:
        verdicts: rows with cell, metric, kind, unit, judged, base, head, reason, required, waived.
        table: axes of all compared cells.
    """
    rows = verdicts.assign(verdict=verdicts["judged"])
    rows = rows[(rows["waived"] == "") & rows["verdict"].isin(_VERDICT_ORDER)]
    rows = rows[(rows["verdict"] != UNDECIDED) | rows["required"].astype(bool)]
    moved = set(rows.loc[rows["verdict"].isin([WORSE, BETTER, BROKEN]), "cell"])
    rows = rows[(rows["kind"] != DECISION_LOG) | ~rows["cell"].isin(moved)]
    movements = [
        _movement(group) for _, group in rows.groupby(["metric", "verdict"], sort=False, observed=True)
    ]
    groups: list[list[Movement]] = []
    for movement in sorted(movements, key=_importance):
        home = next((group for group in groups if _belong(group[0], movement)), None)
        if home is None:
            groups.append([movement])
        else:
            home.append(movement)
    return tuple(_headline(group, table) for group in groups)


def _movement(rows: pd.DataFrame) -> Movement:
    base, head = rows["base"].to_numpy(dtype=np.float64), rows["head"].to_numpy(dtype=np.float64)
    change, log_change = describe_change(base, head)
    first = rows.iloc[0]
    reasons = rows.loc[rows["reason"] != "", "reason"].value_counts()
    with np.errstate(divide="ignore", invalid="ignore"):
        sizes = np.nan_to_num(np.abs(head - base) / np.abs(base), nan=0.0, posinf=np.inf)
    return Movement(
        metric=str(first["metric"]),
        kind=str(first["kind"]),
        unit=str(first["unit"]),
        verdict=str(first["verdict"]),
        cells=tuple(rows["cell"]),
        change=change,
        log_change=log_change,
        reasons=tuple(map(str, reasons.index)),
        largest_cell=str(rows["cell"].iloc[int(np.argmax(sizes))]),
    )


def describe_change(base: Floats, head: Floats) -> tuple[str, float]:
    """Return a change over cells as text and as a logarithm.

    The geometric mean of the ratios where all values are positive, else the ratio of the sums; "0 to 12"
    (sums) where the base is nothing.
    """
    known = ~(np.isnan(base) | np.isnan(head))
    base, head = base[known], head[known]
    if not len(base):
        return "", 0.0
    if (base > 0).all() and (head > 0).all():
        log_change = float(np.mean(np.log(head / base)))
    elif base.sum() > 0 and head.sum() > 0:
        log_change = math.log(head.sum() / base.sum())
    else:
        # From or to nothing: larger than any ratio, and no percentage expresses it.
        sign = float(np.sign(head.sum() - base.sum()))
        return f"{base.sum():g} to {head.sum():g}", sign * math.inf
    return format_percent(math.expm1(log_change)), log_change


def format_percent(change: float) -> str:
    """Return a relative change as a reader expects it: +38 %, -0.02 %."""
    percent = 100 * change
    digits = 0 if abs(percent) >= 10 else 1 if abs(percent) >= 1 else 2
    text = f"{percent:+.{digits}f}"
    return f"{percent:+.2g} %" if float(text) == 0 and percent else f"{text} %"


def _importance(movement: Movement) -> tuple[float, ...]:
    kind = _KIND_ORDER.index(movement.kind) if movement.kind in _KIND_ORDER else len(_KIND_ORDER)
    weight = len(movement.cells) * min(abs(movement.log_change), 10.0)
    return (_VERDICT_ORDER.index(movement.verdict), kind, -weight)


def _belong(lead: Movement, other: Movement) -> bool:
    """Same verdict, and mostly the same cells."""
    if lead.verdict != other.verdict:
        return False
    ours, theirs = set(lead.cells), set(other.cells)
    return len(ours & theirs) >= GROUP_OVERLAP * len(ours | theirs)


def _headline(group: Sequence[Movement], table: AxisTable) -> Headline:
    lead = group[0]
    hit = np.isin(np.array(table.cells, dtype=object), np.array(lead.cells, dtype=object))
    return Headline(lead=lead, where=where(hit, table), others=tuple(group[1:]))


def counts_by_verdict(cells: Mapping[str, str] | pd.Series, words: Sequence[str]) -> dict[str, int]:
    """Return how many cells have each verdict, zeros included."""
    values = list(cells.values()) if isinstance(cells, Mapping) else list(cells)
    return {word: values.count(word) for word in words}
