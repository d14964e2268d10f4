"""The command line: `exhausters doctor`, `exhausters sweep` and `exhausters mirror`.

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
from exhausters.sweep.grid import BUILT_IN
from exhausters.sweep.record import DRAINED, FAILURES, RunRecord
from exhausters.targets import NEWEST_RELEASE, SUPPORTED_RELEASES

BROKEN = 2
DEFAULT_MIRROR = ".cache/sglang.git"
_TABLE_WIDTH = 132

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
_GRID_HELP = f"{', '.join(BUILT_IN)}, or a TOML file."


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
    grid: Annotated[str, typer.Option(help=_GRID_HELP)] = "quick",
    out: Annotated[Path, typer.Option(help="Folder for the records.")] = Path("results/sweep"),
    workers: Annotated[
        int | None, typer.Option(min=1, help="Schedulers side by side [default: one per core].")
    ] = None,
    clock: Annotated[str, typer.Option(help="virtual (reproducible) or real.")] = "virtual",
    forward_time: Annotated[
        str, typer.Option(help="constant, linear, or roofline[:MODEL@DEVICE]: how long a forward takes.")
    ] = "linear",
    work: Annotated[bool, typer.Option(help="Count calls and operators in a second pass.")] = True,
    skip_bad_lines: Annotated[bool, typer.Option(help="Skip and count broken lines of traces.")] = False,
) -> None:
    """Run every cell of a grid on one SGLang, print a table, and write the records."""
    from exhausters.observe.forward_time_models import forward_time_model
    from exhausters.sweep.drain import RunOptions
    from exhausters.sweep.execute import LocalExecutor
    from exhausters.sweep.grid import load_grid
    from exhausters.sweep.runner import SweepOptions
    from exhausters.sweep.runner import sweep as run_sweep
    from exhausters.sweep.store import sweep_writer
    from exhausters.sweep.sweep_progress import SweepProgress
    from exhausters.sweep.table import records_table
    from exhausters.targets import prepare

    console, errors = _output_console(), Console(stderr=True)
    with _errors_shown(errors):
        cells = load_grid(grid, skip_bad_lines=skip_bad_lines)
        for left_out in cells.left_out:
            errors.print(f"left out: {left_out}", markup=False, highlight=False)
        run = RunOptions(forward_time=forward_time_model(forward_time), count_work=work)
        options, executor = SweepOptions(clock=clock, run=run), LocalExecutor(workers)
        with SweepProgress(errors, total=len(cells.cells)) as progress:
            prepared = prepare(target, on_progress=progress.say)
            with sweep_writer(out, target=prepared, grid=cells) as writer:

                def keep(record: RunRecord) -> None:
                    writer.add(record)
                    progress.cell_ended(record)

                progress.say(f"booting {prepared.name}")
                records = run_sweep(prepared, cells, options, executor=executor, on_record=keep)
                writer.finish()
    console.print(records_table(records, title=f"{prepared.name}, grid {cells.name}"))
    _print_outcomes(console, records, out)
    if any(record.result.outcome in FAILURES for record in records):
        raise typer.Exit(BROKEN)


def _print_outcomes(console: Console, records: tuple[RunRecord, ...], out: Path) -> None:
    counts = Counter(record.result.outcome for record in records)
    told = ", ".join(f"{count} {outcome}" for outcome, count in counts.most_common())
    console.print(f"{len(records)} cells: {told}. Records: {out}", highlight=False)
    # What is said of several cells is said once: a grid has hundreds.
    ends: dict[tuple[str, str], list[str]] = {}
    for record in records:
        if record.result.outcome != DRAINED:
            ends.setdefault((record.result.outcome, record.result.reason), []).append(record.cell.id)
    for (outcome, reason), cells in ends.items():
        where = cells[0] if len(cells) == 1 else f"{len(cells)} cells, the first {cells[0]}"
        console.print(f"{outcome}: {where}: {reason}", markup=False, highlight=False, soft_wrap=True)


@app.command()
def pair(
    base: Annotated[str, typer.Argument(metavar="BASE", help="release:X, path:DIR or git:DIR@REV.")],
    head: Annotated[str, typer.Argument(metavar="HEAD", help="The build to be judged.")],
    grid: Annotated[str, typer.Option(help=_GRID_HELP)] = "quick",
    rounds: Annotated[int, typer.Option(min=1, help="Pairs per cell; the gate wants at least 10.")] = 12,
    out: Annotated[Path, typer.Option(help="Folder for the records.")] = Path("results/pairs"),
) -> None:
    """Time two builds side by side, A B B A, for the host-time verdicts of `python -m reports gate`."""
    from exhausters.sweep.grid import load_grid
    from exhausters.sweep.pairs import run_pairs
    from exhausters.sweep.store import pairs_writer
    from exhausters.sweep.sweep_progress import SweepProgress
    from exhausters.targets import prepare

    console, errors = _output_console(), Console(stderr=True)
    with _errors_shown(errors):
        cells = load_grid(grid)
        total = len(cells.cells) * rounds * 2
        with SweepProgress(errors, total=total) as progress:
            first, second = (prepare(text, on_progress=progress.say) for text in (base, head))
            with pairs_writer(out, base=first, head=second, grid=cells, rounds=rounds) as writer:

                def keep(record: RunRecord) -> None:
                    writer.add(record)
                    progress.cell_ended(record)

                records = run_pairs(first, second, cells, rounds=rounds, on_record=keep)
                writer.finish()
    console.print(f"{len(records)} runs of {len(cells.cells)} cells. Records: {out}", highlight=False)
    if any(record.result.outcome in FAILURES for record in records):
        raise typer.Exit(BROKEN)


@app.command()
def doctor(target: TargetOption = _DEFAULT_TARGET) -> None:
    """Tell what is there, which SGLang and tree core would run, and what is missing."""
    from exhausters.doctor import examine

    console = Console()
    with _errors_shown(Console(stderr=True)):
        if not examine(target, console):
            raise typer.Exit(BROKEN)


@app.command()
def mirror(
    range_: Annotated[
        str | None,
        typer.Argument(
            metavar="[RANGE]",
            help="0.5.13..0.5.23, both ends included; by default all supported ones, of a clone its HEAD.",
        ),
    ] = None,
    source: Annotated[
        str, typer.Option("--from", metavar="SOURCE", help="pypi, or a real clone: a folder or a URL.")
    ] = "pypi",
    into: Annotated[Path, typer.Option(help="A bare repository, made if need be.")] = Path(DEFAULT_MIRROR),
) -> None:
    """Make a local history of SGLang for commit ranges: a commit and a tag for each release."""
    from exhausters.mirror import configured_index, mirror_clone, mirror_releases, parse_range
    from exhausters.progress import ShownProgress

    errors = Console(stderr=True)
    with _errors_shown(errors), ShownProgress(errors) as progress:
        if source == "pypi":
            report = mirror_releases(
                parse_range(range_ or f"{SUPPORTED_RELEASES[0]}..{NEWEST_RELEASE}"),
                into,
                configured_index(),
                on_progress=progress.say,
                on_step=progress.step,
            )
        else:
            report = mirror_clone(source, range_, into, on_progress=progress.say)
        for note in report.notes:
            progress.note(note)
    held = f"{report.tags[0]} to {report.tags[-1]}" if report.tags else "no release"
    line = f"{report.directory}: {len(report.tags)} releases, {held}; {len(report.added)} added"
    _output_console().print(line, markup=False, highlight=False)


if __name__ == "__main__":
    app()
