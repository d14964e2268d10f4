"""`exhausters sweep`: run a grid on one build."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from exhausters.cli.options import CELLS_HELP, DEFAULT_TARGET, GRID_HELP, TargetOption
from exhausters.console import FAILED, error_console, errors_shown, output_console
from exhausters.sweep.record import CACHED_FROM, DRAINED, FAILURES, RunRecord


def sweep(
    target: TargetOption = DEFAULT_TARGET,
    grid: Annotated[str, typer.Option(help=GRID_HELP)] = "quick",
    out: Annotated[Path, typer.Option(help="Folder for the records.")] = Path("results/sweep"),
    workers: Annotated[
        int | None, typer.Option(min=1, help="Schedulers side by side (default: one per core).")
    ] = None,
    clock: Annotated[str, typer.Option(help="virtual (reproducible) or real.")] = "virtual",
    forward_time: Annotated[
        str, typer.Option(help="constant, linear, or roofline[:MODEL@DEVICE]: how long a forward takes.")
    ] = "linear",
    work: Annotated[bool, typer.Option(help="Count calls and operators in a second pass.")] = True,
    cells: Annotated[str | None, typer.Option(help=CELLS_HELP)] = None,
    cache: Annotated[
        bool | None,
        typer.Option(help="Take exact results of equal builds from the cache (default: not for path:)."),
    ] = None,
    verify_cache: Annotated[
        int, typer.Option(min=0, help="Run this many cached cells anyway; they must agree.")
    ] = 0,
    skip_bad_lines: Annotated[bool, typer.Option(help="Skip and count broken lines of traces.")] = False,
) -> None:
    """Run every cell of a grid on one SGLang, print a table, and write the records."""
    from exhausters.observe.forward_time_models import forward_time_model
    from exhausters.sweep.choose_cells import choose_cells
    from exhausters.sweep.drain import RunOptions
    from exhausters.sweep.execute import LocalExecutor
    from exhausters.sweep.grid import load_grid
    from exhausters.sweep.result_cache import ResultCache, use_cache
    from exhausters.sweep.runner import SweepOptions
    from exhausters.sweep.runner import sweep as run_sweep
    from exhausters.sweep.store import sweep_writer
    from exhausters.sweep.sweep_progress import SweepProgress
    from exhausters.sweep.table import records_table
    from exhausters.targets import prepare

    console, errors = output_console(), error_console()
    with errors_shown(errors):
        chosen = choose_cells(load_grid(grid, skip_bad_lines=skip_bad_lines), cells)
        for left_out in chosen.left_out:
            errors.print(f"left out: {left_out}", markup=False, highlight=False)
        run = RunOptions(forward_time=forward_time_model(forward_time), count_work=work)
        options = SweepOptions(clock=clock, run=run)
        with SweepProgress(errors, total=len(chosen.cells)) as progress:
            prepared = prepare(target, on_progress=progress.say)
            results = ResultCache(verify=verify_cache) if use_cache(cache, prepared) else None
            executor = LocalExecutor(workers, cache=results)
            with sweep_writer(out, target=prepared, grid=chosen) as writer:

                def keep(record: RunRecord) -> None:
                    writer.add(record)
                    progress.cell_ended(record)

                progress.say(f"booting {prepared.name}")
                records = run_sweep(prepared, chosen, options, executor=executor, on_record=keep)
                writer.finish()
    console.print(records_table(records, title=f"{prepared.name}, grid {chosen.name}"))
    _print_outcomes(console, records, out)
    if any(record.result.outcome in FAILURES for record in records):
        raise typer.Exit(FAILED)


def _print_outcomes(console: Console, records: tuple[RunRecord, ...], out: Path) -> None:
    counts = Counter(record.result.outcome for record in records)
    counted = ", ".join(f"{count} {outcome}" for outcome, count in counts.most_common())
    console.print(f"{len(records)} cells: {counted}. Records: {out}", highlight=False)
    origins = Counter(one.result.provenance.get(CACHED_FROM) for one in records)
    for origin, count in origins.items():
        if origin is not None:
            console.print(
                f"{count} of them from the cache, measured on {origin}", highlight=False, soft_wrap=True
            )
    # Identical ends are printed once: a grid has hundreds of cells.
    ends: dict[tuple[str, str], list[str]] = {}
    for record in records:
        if record.result.outcome != DRAINED:
            ends.setdefault((record.result.outcome, record.result.reason), []).append(record.cell.id)
    for (outcome, reason), cells in ends.items():
        where = cells[0] if len(cells) == 1 else f"{len(cells)} cells, the first {cells[0]}"
        console.print(f"{outcome}: {where}: {reason}", markup=False, highlight=False, soft_wrap=True)
