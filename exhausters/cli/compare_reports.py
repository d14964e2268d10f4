"""From the records of a comparison to its verdict and reports; loads pandas, so it is imported late."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from exhausters.compare.folder import BASE, HEAD, PAIRS
from exhausters.compare.stages import Compared
from exhausters.console import print_line
from exhausters.errors import StoreError
from exhausters.sweep.store import HEADER_NAME
from reports.dashboard.page import DASHBOARD_NAME, render_dashboard
from reports.dashboard.page_data import page_data
from reports.detect.config import Config
from reports.detect.looks import undecided_cells
from reports.explain.comparison import Comparison, compare
from reports.explain.report import Report
from reports.load.builds import Side
from reports.load.load_results import load_results
from reports.render.json_report import report_document, to_json
from reports.render.junit import render_junit
from reports.render.markdown import render_markdown
from reports.render.terminal import print_comparison

COMMENT_NAME, PAGE_NAME, DOCUMENT_NAME, JUNIT_NAME = "comment.md", "report.html", "report.json", "junit.xml"
# By its former name the page is still found, by links and by servers of folders.
REPORTS = (COMMENT_NAME, PAGE_NAME, DOCUMENT_NAME, JUNIT_NAME, DASHBOARD_NAME)
_REDIRECT = (
    f'<!DOCTYPE html><meta charset="utf-8"><meta http-equiv="refresh" content="0; url={PAGE_NAME}">'
    f'<title>exhausters</title><a href="{PAGE_NAME}">{PAGE_NAME}</a>\n'
)
# Places that a reader looks at; all of them are in `compare.json`.
_SHOWN_UNREACHED = 6


def undecided_in(folder: Path) -> frozenset[str]:
    """Return the cells of a folder of pairs whose host time is not decided yet."""
    base, head = json.loads((folder / HEADER_NAME).read_text())["targets"]
    frame = load_results([folder]).frame
    return undecided_cells(frame[frame["target"] == base], frame[frame["target"] == head])


def write_reports(
    folder: Path,
    compared: Compared,
    *,
    claim: str,
    settings: Config,
    options: Sequence[str],
    console: Console,
    chosen: str = "",
) -> Comparison:
    """Judge what the folder holds, write every report into it, print the verdict, return the comparison.

    Args:
        folder: a comparison.
        compared: what its stages left beside the records.
        claim: what the change is meant to be.
        settings: thresholds and waivers.
        options: those of the command, as they were given.
        console: where the verdict is printed.
        chosen: which cells were chosen, and why; empty where they were given.

    Raises:
        StoreError: a report cannot be written.
    """
    sides = [_side(folder / name) for name in (BASE, HEAD)]
    paths = [folder / name for name in (BASE, HEAD, *((PAIRS,) if compared.has_pairs else ()))]
    comparison = compare(
        *sides,
        pairs=load_results([folder / PAIRS]) if compared.has_pairs else None,
        config=settings,
        claim=claim,
        reach=compared.reach,
    )
    cells = [f"cells: {chosen}"] if chosen else []
    comparison = replace(comparison, notes=(*comparison.notes, *cells, *_reach_notes(compared)))
    report = Report(
        results=load_results(paths),
        targets=tuple(side.label for side in sides),
        comparison=comparison,
        history=None,
        notes=(),
        config=settings,
    )
    _write(folder, comparison, report, options)
    print_comparison(comparison, console, folder=str(folder))
    print_line(console, f"reports: {folder}")
    return comparison


def _side(folder: Path) -> Side:
    results = load_results([folder])
    return Side(label=str(results.frame["target"].iloc[0]), results=results)


def _reach_notes(compared: Compared) -> list[str]:
    if compared.reach is None:
        return ["reach: not measured"]
    unreached = [str(one) for one in compared.reach.unreached if one.is_imported]
    more = len(unreached) - _SHOWN_UNREACHED
    return [
        *(f"not reached: {text}" for text in unreached[:_SHOWN_UNREACHED]),
        *([f"not reached: {more} more places"] if more > 0 else []),
        *(f"tried: {text}" for text in compared.tried),
    ]


def _write(folder: Path, comparison: Comparison, report: Report, options: Sequence[str]) -> None:
    texts = {
        COMMENT_NAME: render_markdown(comparison, options=options),
        DOCUMENT_NAME: to_json(report_document(report.results, comparison, None, report.notes)),
        JUNIT_NAME: render_junit(comparison),
        PAGE_NAME: render_dashboard(page_data(report)),
        DASHBOARD_NAME: _REDIRECT,
    }
    try:
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise StoreError(
            f"{folder}: reports cannot be written ({error.strerror or error}); the records are there: make "
            "room, and judge them with `exhausters gate`"
        ) from error
