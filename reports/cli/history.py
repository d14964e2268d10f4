"""`history RESULTS…`: print a table of builds."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from exhausters.console import error_console, errors_shown
from exhausters.extras import require_extra
from reports.cli.options import DEFAULT_REPOSITORY, RepositoryOption, ordered_by, read_commits


def history(
    results: Annotated[list[Path], typer.Argument(help="Results of several builds, e.g. .asv/results.")],
    metric: Annotated[list[str] | None, typer.Option(help="A column; repeatable.")] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            help="Only these cells, e.g. workload=agents,leave_pages=56; one table for each --where."
        ),
    ] = None,
    repository: RepositoryOption = DEFAULT_REPOSITORY,
) -> None:
    """Print a table with one row per build: which builds decide alike, and the mean of each metric."""
    with errors_shown():
        require_extra("reports", what="history")
    from reports.load.load_results import load_results
    from reports.render.history_table import history_table, parse_where

    with errors_shown():
        known = read_commits(repository)
        loaded = ordered_by(load_results(results), known, repository, error_console())
        names = {commit: one.tag for commit, one in known.items() if one.tag}
        for text in where or [""]:
            table = history_table(loaded, metrics=metric, where=parse_where(text), names=names)
            # Markdown, to be pasted: not for rich to wrap.
            print(f"**{text}**\n\n{table}\n" if text else table)
    for reason, count in Counter(one.reason for one in loaded.skipped).items():
        typer.echo(f"left out: {count} results: {reason}", err=True)
