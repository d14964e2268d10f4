"""`exhausters why`: why two builds differ in one cell."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from exhausters.cli.options import GRID_OR_FOLDER_HELP
from exhausters.console import error_console, errors_shown, output_console


def why(
    base: Annotated[str, typer.Argument(metavar="BASE", help="release:X, path:DIR or git:DIR@REV.")],
    head: Annotated[str, typer.Argument(metavar="HEAD", help="The build to be explained.")],
    cell: Annotated[
        str | None,
        typer.Option(
            help="Id of a cell, a part of it, or a pattern with * and ?; of several cells, the first in "
            "which the builds decide differently.",
        ),
    ] = None,
    grid: Annotated[str, typer.Option(help=GRID_OR_FOLDER_HELP)] = "quick",
    out: Annotated[Path, typer.Option(help="Folder for profiles, traces and the reproducer.")] = Path(
        "results/why"
    ),
    max_runs: Annotated[
        int, typer.Option(min=1, help="Runs of both builds for finding the smallest workload.")
    ] = 240,
) -> None:
    """Explain why two builds differ: the first divergence, what each function costs, a reproducer."""
    from exhausters.progress import ShownProgress
    from exhausters.sweep.cell_patterns import matching_cells
    from exhausters.sweep.stored_cells import load_cells
    from exhausters.sweep.workers import Workers
    from exhausters.targets import prepare
    from exhausters.why.explain import explain_difference, first_differing_cell
    from exhausters.why.sides import Sides
    from exhausters.why.tables import explanation_view

    console, errors = output_console(), error_console()
    with errors_shown(errors):
        cells = matching_cells(load_cells(grid).cells, [cell] if cell else ())
        with ShownProgress(errors) as progress, Workers(limit=2) as workers:
            first, second = (prepare(text, on_progress=progress.say) for text in (base, head))
            chosen = cells[0]
            if len(cells) > 1:
                with Sides(workers, first, second) as sides:
                    chosen = first_differing_cell(sides, cells, progress.say) or chosen
            explained = explain_difference(
                first, second, chosen, out, workers=workers, max_runs=max_runs, say=progress.say
            )
        console.print(explanation_view(explained))
