"""`gate BASE HEAD`: judge two builds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from exhausters.console import errors_shown, output_console
from exhausters.extras import require_extra
from reports.cli.options import ConfigOption, read_config


def gate(
    base: Annotated[str, typer.Argument(help="Results of the build to compare with: PATH or PATH@BUILD.")],
    head: Annotated[str, typer.Argument(help="Results of the build to judge: PATH or PATH@BUILD.")],
    pairs: Annotated[
        list[Path] | None, typer.Option(help="Paired host-time results that hold both builds; repeatable.")
    ] = None,
    config: ConfigOption = None,
    markdown: Annotated[Path | None, typer.Option(help="Write a pull-request comment.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write everything as JSON.")] = None,
    junit: Annotated[Path | None, typer.Option(help="Write JUnit XML.")] = None,
    claim: Annotated[
        str,
        typer.Option(
            help="What the change is meant to be: refactor (the same decisions, no cost that matters), "
            "faster (the same decisions, a better cost), policy (no outcome worse) or any."
        ),
    ] = "any",
    explain: Annotated[
        bool, typer.Option("--explain", help="Show the rule for each workload and metric.")
    ] = False,
) -> None:
    """Compare two builds; exit 0: nothing worse, 1: worse, a trade-off or a false claim, 2: undecided."""
    # Here, not above: a command line that judges nothing must not wait for pandas.
    with errors_shown():
        require_extra("reports", what="gate")
    from reports.explain.comparison import compare
    from reports.load.builds import load_side
    from reports.load.load_results import load_results
    from reports.render.json_report import report_document, to_json
    from reports.render.junit import render_junit
    from reports.render.markdown import render_markdown
    from reports.render.terminal import print_comparison

    with errors_shown():
        comparison = compare(
            load_side(base),
            load_side(head),
            pairs=load_results(pairs) if pairs else None,
            config=read_config(config),
            claim=claim,
        )
        if markdown is not None:
            _write(markdown, render_markdown(comparison))
        if json is not None:
            _write(json, to_json(report_document(comparison=comparison)))
        if junit is not None:
            _write(junit, render_junit(comparison))
    print_comparison(comparison, output_console(), explain=explain)
    raise typer.Exit(comparison.decision.exit_code)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
