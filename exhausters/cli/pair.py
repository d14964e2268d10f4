"""`exhausters pair`: time two builds side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from exhausters.cli.options import GRID_HELP, CellsOption, print_dropped_variables
from exhausters.cli.outcomes import print_left_out, print_outcomes
from exhausters.console import FAILED, error_console, errors_shown, output_console
from exhausters.sweep.record import FAILURES, RunRecord


def pair(
    base: Annotated[str, typer.Argument(metavar="BASE", help="release:X, path:DIR or git:DIR@REV.")],
    head: Annotated[str, typer.Argument(metavar="HEAD", help="The build to be judged.")],
    grid: Annotated[str, typer.Option(help=GRID_HELP)] = "quick",
    cells: CellsOption = None,
    rounds: Annotated[int, typer.Option(min=1, help="Pairs per cell; the gate needs at least 10.")] = 12,
    out: Annotated[Path, typer.Option(help="Folder for the records.")] = Path("results/pairs"),
    resume: Annotated[
        bool, typer.Option("--resume", help="Keep the pairs that an interrupted call has finished in --out.")
    ] = False,
) -> None:
    """Time two builds side by side, A B B A, for the host-time verdicts of `exhausters gate`."""
    from exhausters.sweep.grid import load_grid
    from exhausters.sweep.pairs import PAIR_OPTIONS, run_pairs
    from exhausters.sweep.plan import built_workloads
    from exhausters.sweep.resume import asked_of, resumed_pairs_writer
    from exhausters.sweep.runner import SweepOptions
    from exhausters.sweep.store import pairs_writer
    from exhausters.sweep.sweep_progress import SweepProgress
    from exhausters.targets import prepare

    console, errors = output_console(), error_console()
    with errors_shown(errors):
        chosen = load_grid(grid).select(cells or ())
        print_dropped_variables(errors)
        print_left_out(errors, chosen)
        total = len(chosen.cells) * rounds * 2
        with SweepProgress(errors, total=total) as progress:
            first, second = (prepare(text, on_progress=progress.say) for text in (base, head))
            # A workload that cannot be built must not cost the pairs that the folder holds.
            workloads = built_workloads(chosen)
            if resume:
                opened = resumed_pairs_writer(out, base=first, head=second, grid=chosen, rounds=rounds)
            else:
                asked = asked_of(SweepOptions(run=PAIR_OPTIONS))
                opened = pairs_writer(out, base=first, head=second, grid=chosen, rounds=rounds, asked=asked)
            with opened as writer:

                def keep(record: RunRecord) -> None:
                    writer.add(record)
                    progress.run_ended(record)

                progress.kept(len(writer.kept))
                progress.booting(f"{first.name} and {second.name}")
                records = run_pairs(
                    first,
                    second,
                    chosen,
                    rounds=rounds,
                    on_record=keep,
                    known=writer.kept,
                    workloads=workloads,
                )
                writer.finish()
    print_outcomes(console, records, out, noun="runs")
    if any(record.result.outcome in FAILURES for record in records):
        raise typer.Exit(FAILED)
