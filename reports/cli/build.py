"""`build RESULTS… --out DIR`: write a report on all builds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from exhausters.console import error_console, errors_shown, output_console, print_line
from exhausters.extras import require_extra
from reports.cli.options import (
    DEFAULT_REPOSITORY,
    ConfigOption,
    RepositoryOption,
    ordered_by,
    read_commits,
    read_config,
)


def build(
    results: Annotated[
        list[Path], typer.Argument(help="Files and folders of results; folders are searched.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the report.")] = Path("results/report"),
    config: ConfigOption = None,
    base: Annotated[
        str | None,
        typer.Option(help="Build to compare with: target, version or commit (default: the one before)."),
    ] = None,
    head: Annotated[str | None, typer.Option(help="Build to judge (default: the newest).")] = None,
    repository: RepositoryOption = DEFAULT_REPOSITORY,
) -> None:
    """Write a report on all builds, the newest against the one before, and a dashboard (index.html)."""
    with errors_shown():
        require_extra("reports", what="build")
    from reports.dashboard.report_folder import write_report
    from reports.explain.report import make_report
    from reports.load.load_results import load_results

    errors = error_console()
    with errors_shown():
        known = read_commits(repository)
        loaded = ordered_by(load_results(results), known, repository, errors)
        report = make_report(loaded, read_config(config), base=base, head=head)
        written = write_report(report, out, known)
    for note in report.notes:
        print_line(errors, f"note: {note}")
    console = output_console()
    for path in written:
        print_line(console, str(path))
