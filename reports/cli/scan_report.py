"""`scan-report SCAN`: what a scan of a history found."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from exhausters.console import errors_shown
from exhausters.extras import require_extra
from reports.cli.options import ConfigOption, read_config


def scan_report(
    folder: Annotated[Path, typer.Argument(metavar="SCAN", help="The folder of `exhausters scan`.")],
    document: Annotated[
        Path | None, typer.Option(help="Put the section between the marks of this document.")
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Write everything as JSON.")] = None,
    repository: Annotated[
        str, typer.Option("--repo", help="What commands of the section call the clone.")
    ] = "../sglang",
    until: Annotated[
        str | None, typer.Option(help="The last commit to tell of (default: that of the scan).")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Tell which commits of a scan changed decisions or cost, each with its pull request, as Markdown."""
    with errors_shown():
        require_extra("reports", what="scan-report")
    from reports.explain.scan_changes import scan_report as make_report
    from reports.render.scan import render_scan, scan_document, write_section

    with errors_shown():
        report = make_report(folder, read_config(config), until=until)
        if json is not None:
            json.parent.mkdir(parents=True, exist_ok=True)
            json.write_text(scan_document(report), encoding="utf-8")
        if document is not None:
            write_section(document, report, repository=repository)
    if document is None:
        # Markdown, to be pasted: not for rich to wrap.
        print(render_scan(report, repository=repository))
