"""`exhausters sweep`: run a grid on one build."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from exhausters.cli.engines import Engine, EngineOption, RayAddressOption, executor_of
from exhausters.cli.options import (
    DEFAULT_TARGET,
    GRID_HELP,
    CellsOption,
    TargetOption,
    WorkersOption,
    print_dropped_variables,
)
from exhausters.cli.outcomes import print_left_out, print_outcomes
from exhausters.console import FAILED, error_console, errors_shown, output_console, print_whole
from exhausters.sweep.record import FAILURES, UNSUPPORTED, RunRecord

if TYPE_CHECKING:
    from exhausters.sweep.execute import Executor
    from exhausters.sweep.grid import Grid
    from exhausters.sweep.runner import SweepOptions
    from exhausters.sweep.sweep_progress import SweepProgress
    from exhausters.targets import PreparedTarget


def sweep(
    target: TargetOption = DEFAULT_TARGET,
    grid: Annotated[str, typer.Option(help=GRID_HELP)] = "quick",
    cells: CellsOption = None,
    out: Annotated[Path, typer.Option(help="Folder for the records.")] = Path("results/sweep"),
    workers: WorkersOption = None,
    clock: Annotated[str, typer.Option(help="virtual (reproducible) or real.")] = "virtual",
    forward_time: Annotated[
        str, typer.Option(help="constant, linear, or roofline[:MODEL@DEVICE]: how long a forward takes.")
    ] = "linear",
    work: Annotated[bool, typer.Option(help="Count calls and operators in a second pass.")] = True,
    cache: Annotated[
        bool, typer.Option(help="Take exact results of equal builds from the cache; without host time.")
    ] = False,
    verify_cache: Annotated[
        int, typer.Option(min=0, help="Run this many cached cells anyway; they must agree.")
    ] = 0,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Keep the cells that an interrupted sweep has finished in --out."),
    ] = False,
    engine: EngineOption = Engine.LOCAL,
    ray_address: RayAddressOption = None,
    skip_bad_lines: Annotated[bool, typer.Option(help="Skip and count broken lines of traces.")] = False,
) -> None:
    """Run every cell of a grid on one SGLang, print a table, and write the records."""
    from exhausters.observe.forward_time_models import forward_time_model
    from exhausters.sweep.grid import load_grid
    from exhausters.sweep.result_cache import ResultCache
    from exhausters.sweep.run_options import RunOptions
    from exhausters.sweep.runner import SweepOptions
    from exhausters.sweep.sweep_progress import SweepProgress
    from exhausters.targets import prepare

    console, errors = output_console(), error_console()
    with errors_shown(errors):
        chosen = load_grid(grid, skip_bad_lines=skip_bad_lines).select(cells or ())
        print_dropped_variables(errors)
        print_left_out(errors, chosen)
        run = RunOptions(forward_time=forward_time_model(forward_time), count_work=work)
        options = SweepOptions(clock=clock, run=run)
        with SweepProgress(errors, total=len(chosen.cells)) as progress:
            prepared = prepare(target, on_progress=progress.say)
            stored = ResultCache(verify=verify_cache) if cache else None
            executing = executor_of(engine, workers, cache=stored, address=ray_address, say=progress.note)
            with executing as executor:
                records = _swept(prepared, chosen, options, executor, progress, out=out, is_resumed=resume)
    _show(console, records, f"{prepared.name}, grid {chosen.name}", out)


def _swept(
    target: PreparedTarget,
    grid: Grid,
    options: SweepOptions,
    executor: Executor,
    progress: SweepProgress,
    *,
    out: Path,
    is_resumed: bool,
) -> tuple[RunRecord, ...]:
    """Run the cells and write them into a folder.

    What the folder held goes last: whatever else could be refused, the executor and the workloads, is there.
    """
    from exhausters.sweep.plan import built_workloads
    from exhausters.sweep.resume import asked_of, resumed_writer
    from exhausters.sweep.runner import sweep as run_sweep
    from exhausters.sweep.store import sweep_writer

    workloads = built_workloads(grid)
    if is_resumed:
        opened = resumed_writer(out, target=target, grid=grid, options=options)
    else:
        opened = sweep_writer(out, target=target, grid=grid, asked=asked_of(options))
    with opened as writer:

        def keep(record: RunRecord) -> None:
            writer.add(record)
            progress.run_ended(record)

        progress.kept(len(writer.kept))
        if len(writer.kept) < len(grid.cells):
            progress.booting(target.name)
        records = run_sweep(
            target,
            grid,
            options,
            executor=executor,
            on_record=keep,
            known=writer.kept,
            workloads=workloads,
        )
        writer.finish()
    return records


def _show(console: Console, records: tuple[RunRecord, ...], title: str, out: Path) -> None:
    """Print the table and the counts; raises Exit where a sweep has failed."""
    from exhausters.sweep.table import records_table

    print_whole(console, records_table(records, title=title))
    print_outcomes(console, records, out, noun="cells")
    outcomes = {record.result.outcome for record in records}
    # A sweep in which nothing ran is a mistake in the grid, whatever the scheduler calls it.
    if outcomes & set(FAILURES) or outcomes == {UNSUPPORTED}:
        raise typer.Exit(FAILED)
