"""Sweeps and pairs that left fewer records than their headers promise, or did not finish."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pandas as pd

from reports.load.builds import Side
from reports.load.measurements import Session
from reports.vocabulary import OUTCOME


def incomplete(sides: Iterable[tuple[str, Side]]) -> list[str]:
    """Return one sentence for each side that lacks records; sides are named by what they are for.

    A folder of pairs that is given twice, as a side and as pairs, is named once.
    """
    found: dict[tuple[Path, str], str] = {}
    for name, side in sides:
        for session, text in _of_side(side):
            found.setdefault((Path(session.name).resolve(), side.label), f"{name}: {text}")
    return list(found.values())


def _of_side(side: Side) -> Iterator[tuple[Session, str]]:
    frame = side.results.frame
    for session in side.results.sessions:
        rows = frame[(frame["session"] == session.name) & (frame["metric"] == OUTCOME)]
        text = _lacking(session, rows) if len(rows) else ""
        if text:
            yield session, text


def _lacking(session: Session, rows: pd.DataFrame) -> str:
    cells = rows["cell"].nunique()
    if session.complete is False and session.expected_runs is None and session.expected_cells is not None:
        return f"the sweep did not finish ({cells} of {session.expected_cells} cells)"
    if session.expected_cells is not None and cells < session.expected_cells:
        return f"{session.expected_cells - cells} of {session.expected_cells} cells left no record"
    if session.expected_runs is not None and len(rows) < session.expected_runs:
        return f"{session.expected_runs - len(rows)} of {session.expected_runs} paired runs left no record"
    if session.complete is False:
        return "the pairs were not finished" if session.expected_runs else "the sweep did not finish"
    return ""
