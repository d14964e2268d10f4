"""From verdicts on metrics to verdicts on cells, and to what keeps a comparison from being decided."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import pandas as pd

from reports.detect.config import Waiver
from reports.vocabulary import BETTER, BROKEN, CHANGED, OUTCOME, SAME, UNDECIDED, WORSE

# The verdict on a cell whose metrics disagree: the first of these that any of them has.
_FIRST_OF = (BROKEN, WORSE, UNDECIDED, BETTER, CHANGED)
_WAIVABLE = (BROKEN, WORSE, UNDECIDED)


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
    ranks = counted["judged"].map({word: rank for rank, word in enumerate((*_FIRST_OF, SAME))})
    worst = ranks.groupby(counted["cell"]).min()
    all_cells = verdicts["cell"].drop_duplicates().sort_values()
    words = dict(enumerate((*_FIRST_OF, SAME)))
    return all_cells.map(worst).map(words).fillna(SAME).set_axis(all_cells.to_numpy())


def _not_required(verdicts: pd.DataFrame) -> pd.Series[bool]:
    """Undecided rows that need no answer, such as host time of single runs."""
    return (verdicts["verdict"] == UNDECIDED) & ~verdicts["required"].astype(bool)


def open_questions(verdicts: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Return what is broken and what could not be decided; the same thing once, with how often it is so.

    Args:
        verdicts: rows with verdict, required, reason and waived.
    """
    counted = verdicts[(verdicts["waived"] == "") & verdicts["required"].astype(bool)]
    broken, undecided = (_grouped(counted[counted["verdict"] == word], word) for word in (BROKEN, UNDECIDED))
    return broken, undecided


def expired(waivers: Sequence[Waiver], today: date) -> list[str]:
    """Return one sentence for each waiver whose last day has passed."""
    return [
        f"the waiver of {waiver.metric} expired on {waiver.expires}: renew or remove it ({waiver.reason})"
        for waiver in waivers
        if waiver.is_expired(today)
    ]


def without_waived_cells(verdicts: pd.DataFrame, waivers: Sequence[Waiver], today: date) -> pd.DataFrame:
    """Return the rows that no waiver covers, losses and gains alike: what is left is not a selection."""
    valid = [waiver for waiver in waivers if not waiver.is_expired(today)]
    if not valid:
        return verdicts
    covered = [
        any(waiver.covers(str(metric), str(cell)) for waiver in valid)
        for metric, cell in zip(verdicts["metric"], verdicts["cell"], strict=True)
    ]
    return verdicts[~pd.Series(covered, index=verdicts.index, dtype=bool)]


def _grouped(rows: pd.DataFrame, word: str) -> list[str]:
    groups: dict[str, tuple[set[str], set[str]]] = {}
    for metric, cell, reason in zip(rows["metric"], rows["cell"], rows["reason"], strict=True):
        metrics, cells = groups.setdefault(str(reason), (set(), set()))
        metrics.add(str(metric))
        cells.add(str(cell))
    ordered = sorted(groups.items(), key=lambda group: -len(group[1][1]))
    return [_told(reason, metrics, len(cells), word) for reason, (metrics, cells) in ordered]


def _told(reason: str, metrics: set[str], cells: int, word: str) -> str:
    what = next(iter(metrics)) if len(metrics) == 1 else f"{len(metrics)} metrics"
    subject = "" if metrics == {OUTCOME} else f"{what} {'is' if len(metrics) == 1 else 'are'} "
    where = f"{cells} cell" if cells == 1 else f"{cells} cells"
    return f"{subject}{word} in {where}{f': {reason}' if reason else ''}"
