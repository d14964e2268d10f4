"""Write a report as a folder: the dashboard, JSON, and for two builds also Markdown and JUnit XML."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from reports.dashboard.page import DASHBOARD_NAME, render_dashboard
from reports.dashboard.page_data import page_data
from reports.explain.report import Report
from reports.load.commits import KnownCommit
from reports.render.json_report import report_document, to_json
from reports.render.junit import render_junit
from reports.render.markdown import render_markdown

DOCUMENT_NAME = "report.json"


def write_report(report: Report, out: Path, known: Mapping[str, KnownCommit] | None = None) -> list[Path]:
    """Write the report's files into a folder and return their paths.

    `index.html` is the dashboard, `report.json` everything there is to know; `report.md` and `junit.xml` need
    a comparison. `known` names commits on the dashboard, by their full ids.
    """
    document = report_document(report.results, report.comparison, report.history, report.notes)
    texts = {DASHBOARD_NAME: render_dashboard(page_data(report, known)), DOCUMENT_NAME: to_json(document)}
    if report.comparison is not None:
        texts |= {
            "report.md": render_markdown(report.comparison),
            "junit.xml": render_junit(report.comparison),
        }
    out.mkdir(parents=True, exist_ok=True)
    # An earlier report's verdict must not lie beside a report that has none.
    for name in ("report.md", "junit.xml"):
        (out / name).unlink(missing_ok=True)
    for name, text in texts.items():
        (out / name).write_text(text, encoding="utf-8")
    return [out / name for name in texts]
