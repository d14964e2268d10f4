"""`exhausters reach-map`: measure which functions of a build each cell of some grids executes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from exhausters.cli.options import DEFAULT_TARGET, WorkersOption
from exhausters.cli.outcomes import print_outcomes
from exhausters.console import error_console, errors_shown, output_console, print_line
from exhausters.errors import StoreError


def reach_map(
    target: Annotated[str, typer.Argument(metavar="TARGET", help="The build that it is measured on.")] = (
        DEFAULT_TARGET
    ),
    grid: Annotated[
        list[str] | None, typer.Option(help="A grid whose cells are measured; repeatable. By default `pool`.")
    ] = None,
    out: Annotated[Path, typer.Option(help="File for the map.")] = Path("results/cell_map.json"),
    known: Annotated[
        Path | None,
        typer.Option(help="A map of the same build: only cells that it lacks are run."),
    ] = None,
    workers: WorkersOption = None,
) -> None:
    """Measure the map from cells to functions, by which `compare` chooses its cells."""
    from exhausters.compare.choose import POOL
    from exhausters.compare.map_of_runs import cells_to_measure, measure_map
    from exhausters.reach.cell_map import read_cell_map
    from exhausters.sweep.execute import LocalExecutor
    from exhausters.sweep.grid import load_grid
    from exhausters.sweep.record import RunRecord
    from exhausters.sweep.sweep_progress import SweepProgress
    from exhausters.targets import prepare

    console, errors = output_console(), error_console()
    with errors_shown(errors):
        grids = [load_grid(name) for name in grid or [POOL]]
        records: list[RunRecord] = []
        every = len(cells_to_measure(grids, None))
        known_map = None if known is None else read_cell_map(known)
        total = len(cells_to_measure(grids, known_map))
        with SweepProgress(errors, total=total) as progress:
            prepared = prepare(target, on_progress=progress.say)

            def keep(record: RunRecord) -> None:
                records.append(record)
                progress.run_ended(record)

            measured = measure_map(
                prepared, grids, executor=LocalExecutor(workers), known=known_map, on_record=keep
            )
        text = measured.to_text()
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_text(text, encoding="utf-8")
        except OSError as error:
            raise StoreError(f"--out {out}: cannot be written ({error.strerror or error})") from error
    print_line(
        console,
        f"{len(measured.executed)} of {every} cells execute {len(measured.functions):,} functions of "
        f"{measured.build}: {out} ({len(text.encode()):,} bytes)",
    )
    if records:
        print_outcomes(console, records, out, noun="cells")
