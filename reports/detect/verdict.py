"""From verdicts on metrics to verdicts on cells, and to the gate's one answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import pandas as pd

from reports.detect.config import Waiver
from reports.vocabulary import BETTER, BROKEN, CHANGED, SAME, UNDECIDED, WORSE

# The verdict on a cell whose metrics disagree: the first of these that any of them has.
_FIRST_OF = (BROKEN, WORSE, UNDECIDED, BETTER, CHANGED)
_WAIVABLE = (BROKEN, WORSE, UNDECIDED)
NOTHING_WORSE, SOMETHING_WORSE, NOT_DECIDED = 0, 1, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The gate's answer.

    Attributes:
        verdict: one word.
        exit_code: 0 nothing worse, 1 something worse, 2 could not decide or broken.
        reasons: one sentence for each thing that led there; empty for a plain pass.
    """

    verdict: str
    exit_code: int
    reasons: tuple[str, ...]


def apply_waivers(verdicts: pd.DataFrame, waivers: Sequence[Waiver], today: date) -> pd.DataFrame:
    """Return the verdicts with a column `waived`: the reason of the waiver that covers the row, or ""."""
    waived = pd.Series("", index=verdicts.index, dtype=object)
    open_rows = verdicts.index[verdicts["verdict"].isin(_WAIVABLE)]
    for waiver in waivers:
        if not waiver.is_expired(today):
            for index in open_rows:
                row = verdicts.loc[index]
                if waiver.covers(str(row["metric"]), str(row["cell"])):
                    waived[index] = waiver.reason
    return verdicts.assign(waived=waived)


def cell_verdicts(verdicts: pd.DataFrame) -> pd.Series:
    """Return the verdict of each cell, by cell; waived rows and rows that need no answer do not count."""
    counted = verdicts[(verdicts["waived"] == "") & ~_not_required(verdicts)]
    ranks = counted["verdict"].map({word: rank for rank, word in enumerate((*_FIRST_OF, SAME))})
    worst = ranks.groupby(counted["cell"]).min()
    all_cells = verdicts["cell"].drop_duplicates().sort_values()
    words = dict(enumerate((*_FIRST_OF, SAME)))
    return all_cells.map(worst).map(words).fillna(SAME).set_axis(all_cells.to_numpy())


def _not_required(verdicts: pd.DataFrame) -> pd.Series[bool]:
    """Undecided rows that need no answer, such as host time of single runs."""
    return (verdicts["verdict"] == UNDECIDED) & ~verdicts["required"].astype(bool)


def decide(
    verdicts: pd.DataFrame,
    grid_tests: pd.DataFrame,
    *,
    obstacles: Sequence[str],
    waivers: Sequence[Waiver],
    today: date,
) -> Decision:
    """Return the gate's answer.

    Args:
        verdicts: rows with verdict, required and waived.
        grid_tests: rows of `detect_grid`; those on the whole grid must be decided.
        obstacles: refusals and cells without a record: reasons why nothing, or not all, could be compared.
        waivers: an expired one fails the gate whatever else is true.
        today: the day for which waivers are read.
    """
    counted = verdicts[verdicts["waived"] == ""]
    tests = _unwaived_tests(grid_tests, waivers, today)
    worse = [
        *_count(counted[counted["verdict"] == WORSE], "worse"),
        *(
            f"{row.metric} is worse over {_part(row)}"
            for row in tests[tests["verdict"] == WORSE].itertuples()
        ),
    ]
    whole = tests[tests["axis"] == ""]
    open_questions = [
        *obstacles,
        *_count(counted[counted["verdict"] == BROKEN], "broken"),
        *_count(counted[(counted["verdict"] == UNDECIDED) & counted["required"].astype(bool)], "undecided"),
        *(
            f"{row.metric} over the whole grid is undecided: {row.reason}"
            for row in whole[whole["verdict"] == UNDECIDED].itertuples()
        ),
        *_expired(waivers, today),
    ]
    if worse:
        return Decision(verdict=WORSE, exit_code=SOMETHING_WORSE, reasons=(*worse, *open_questions))
    if open_questions:
        is_broken = bool((counted["verdict"] == BROKEN).any())
        word = BROKEN if is_broken else UNDECIDED
        return Decision(verdict=word, exit_code=NOT_DECIDED, reasons=tuple(open_questions))
    words = {*counted["verdict"], *tests["verdict"]}
    word = next((word for word in (BETTER, CHANGED) if word in words), SAME)
    return Decision(verdict=word, exit_code=NOTHING_WORSE, reasons=())


def _expired(waivers: Sequence[Waiver], today: date) -> list[str]:
    return [
        f"the waiver of {waiver.metric} expired on {waiver.expires}: renew or remove it ({waiver.reason})"
        for waiver in waivers
        if waiver.is_expired(today)
    ]


def _unwaived_tests(tests: pd.DataFrame, waivers: Sequence[Waiver], today: date) -> pd.DataFrame:
    """A test over many cells is waived by a waiver of its metric for all cells."""
    names = {waiver.metric for waiver in waivers if "*" in waiver.cells and not waiver.is_expired(today)}
    if "*" in names:
        return tests.iloc[:0]
    return tests[~tests["metric"].isin(names)]


def _count(rows: pd.DataFrame, word: str) -> list[str]:
    counts = rows.groupby("metric", sort=False)["cell"].nunique().sort_values(ascending=False, kind="stable")
    return [
        f"{metric} is {word} in {count} cell{'s' if count > 1 else ''}" for metric, count in counts.items()
    ]


def _part(row: object) -> str:
    axis = getattr(row, "axis", "")
    return f"all cells with {axis} = {getattr(row, 'axis_value', '')}" if axis else "the whole grid"
