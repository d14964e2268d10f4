"""The command line: `exhausters doctor` and `exhausters sweep`.

Exit codes: 0 all cells have an outcome of the scheduler's own; 1 is left to verdicts (`python -m reports`);
2 something is broken: bad input, a target that cannot be made ready, a worker that crashed or hung.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from exhausters.errors import ExhaustersError
from exhausters.sweep.record import DRAINED, FAILURES, RunRecord
from exhausters.targets import NEWEST_RELEASE

BROKEN = 2
_TABLE_WIDTH = 120

app = typer.Typer(
    help="Run the real SGLang scheduler on a CPU under scripted pressure.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
TargetOption = Annotated[
    str, typer.Option("--target", help="release:X, path:DIR (a checkout) or git:DIR@REV.", metavar="TARGET")
]
_DEFAULT_TARGET = f"release:{NEWEST_RELEASE}"


def _output_console() -> Console:
    """A console for results: a file or a pipe has no width that a table should be cut to."""
    console = Console()
    return console if console.is_terminal else Console(width=max(console.width, _TABLE_WIDTH))


@contextmanager
def _errors_shown(console: Console) -> Iterator[None]:
    """Show an error of this project as its message, without a stack of ours, and exit with 2."""
    try:
        yield
    except ExhaustersError as error:
        console.print(f"[bold red]{type(error).__name__}[/]: ", end="")
        console.print(str(error), markup=False, highlight=False)
        raise typer.Exit(BROKEN) from None


@app.command()
def sweep(
    target: TargetOption = _DEFAULT_TARGET,
    grid: Annotated[str, typer.Option(help="quick, default, or a TOML file.")] = "quick",
    out: Annotated[Path, typer.Option(help="Folder for the records.")] = Path("results/sweep"),
    workers: Annotated[
        int | None, typer.Option(min=1, help="Schedulers side by side [default: one per core].")
    ] = None,
    clock: Annotated[str, typer.Option(help="virtual (reproducible) or real.")] = "virtual",
) -> None:
    """Run every cell of a grid on one SGLang, print a table, and write the records."""
    from exhausters.sweep.grid import load_grid
    from exhausters.sweep.progress import SweepProgress
    from exhausters.sweep.runner import SweepOptions
    from exhausters.sweep.runner import sweep as run_sweep
    from exhausters.sweep.store import SweepWriter
    from exhausters.sweep.table import records_table
    from exhausters.targets import prepare

    console, errors = _output_console(), Console(stderr=True)
    with _errors_shown(errors):
        cells = load_grid(grid)
        options = SweepOptions(workers=workers, clock=clock)
        with SweepProgress(errors, total=len(cells.cells)) as progress:
            prepared = prepare(target, on_progress=progress.say)
            with SweepWriter(out, target=prepared, grid=cells) as writer:

                def keep(record: RunRecord) -> None:
                    writer.add(record)
                    progress.cell_ended(record)

                progress.say(f"booting {prepared.name}")
                records = run_sweep(prepared, cells, options, on_record=keep)
                writer.finish()
    console.print(records_table(records, title=f"{prepared.name}, grid {cells.name}"))
    _print_outcomes(console, records, out)
    if any(record.result.outcome in FAILURES for record in records):
        raise typer.Exit(BROKEN)


def _print_outcomes(console: Console, records: tuple[RunRecord, ...], out: Path) -> None:
    counts = Counter(record.result.outcome for record in records)
    told = ", ".join(f"{count} {outcome}" for outcome, count in counts.most_common())
    console.print(f"{len(records)} cells: {told}. Records: {out}", highlight=False)
    for record in records:
        if record.result.outcome != DRAINED:
            line = f"{record.result.outcome}: {record.cell.id}: {record.result.reason}"
            console.print(line, markup=False, highlight=False)


@app.command()
def doctor(target: TargetOption = _DEFAULT_TARGET) -> None:
    """Tell what is there, which SGLang and tree core would run, and what is missing."""
    from exhausters.doctor import examine

    console = Console()
    with _errors_shown(Console(stderr=True)):
        if not examine(target, console):
            raise typer.Exit(BROKEN)


if __name__ == "__main__":
    app()
