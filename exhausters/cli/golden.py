"""`exhausters golden`: decision traces for those who model the scheduler, written, checked, compared."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from exhausters.cli.options import DEFAULT_TARGET, GRID_HELP, CellsOption, TargetOption
from exhausters.console import error_console, errors_shown, output_console, print_line

DIFFERS = 1

app = typer.Typer(
    help="Golden decision traces: write them, check a build against them, compare a simulator's with them.",
    no_args_is_help=True,
)


@app.command()
def write(
    out: Annotated[Path, typer.Option(help="Folder for the traces, a file for each cell.")],
    target: TargetOption = DEFAULT_TARGET,
    grid: Annotated[str, typer.Option(help=GRID_HELP)] = "golden",
    cells: CellsOption = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Schedulers side by side.")] = None,
) -> None:
    """Run cells on a build and write what its scheduler decided, step by step."""
    from exhausters.golden.traces import write_traces
    from exhausters.sweep.execute import LocalExecutor
    from exhausters.sweep.grid import load_grid
    from exhausters.targets import prepare

    errors = error_console()
    with errors_shown(errors):
        chosen = load_grid(grid).select(cells or ())
        prepared = prepare(target, on_progress=lambda what: print_line(errors, what))
        paths = write_traces(prepared, chosen, out, LocalExecutor(workers))
    for path in paths:
        print_line(output_console(), f"{path}: {path.stat().st_size:,} bytes")


@app.command()
def check(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of golden traces.")],
    target: Annotated[
        str | None,
        typer.Option(metavar="TARGET", help="The build to check (default: the one that the traces are of)."),
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Schedulers side by side.")] = None,
) -> None:
    """Run the cells of golden traces on a build; exit 1 where it decides otherwise, with the first step."""
    import tempfile

    from exhausters.errors import UsageError
    from exhausters.golden.traces import check_traces, read_traces
    from exhausters.sweep.execute import LocalExecutor
    from exhausters.targets import prepare

    errors, console = error_console(), output_console()
    with errors_shown(errors), tempfile.TemporaryDirectory() as scratch:
        traces = read_traces(folder)
        named = {trace.target for trace in traces}
        if target is None and (len(named) > 1 or not min(named).startswith("release:")):
            raise UsageError(f"{folder}: its traces are of {', '.join(sorted(named))}; name a --target")
        prepared = prepare(target or min(named), on_progress=lambda what: print_line(errors, what))
        checked = check_traces(traces, prepared, LocalExecutor(workers), Path(scratch))
    for one in checked:
        said = one.problem or (str(one.difference) if one.difference else "the same")
        print_line(console, f"{one.trace.path.name}: {said}")
    same = sum(not one.problem and one.difference is None for one in checked)
    print_line(console, f"{same} of {len(checked)} traces are the same on {prepared.name}")
    raise typer.Exit(0 if same == len(checked) else DIFFERS)


@app.command()
def compare(
    golden: Annotated[Path, typer.Argument(metavar="GOLDEN", help="A golden trace.")],
    other: Annotated[Path, typer.Argument(metavar="OTHER", help="A trace of the same workload.")],
) -> None:
    """Compare a trace, such as a simulator's, with a golden one; exit 1 with the first step that differs."""
    from exhausters.golden.differ import first_difference
    from exhausters.golden.trace_file import read_trace

    with errors_shown(error_console()):
        found = first_difference(read_trace(golden), read_trace(other))
    print_line(output_console(), "the same" if found is None else str(found))
    raise typer.Exit(0 if found is None else DIFFERS)
