"""`exhausters check`: judge one build by the promises that a scheduler keeps."""

from __future__ import annotations

import json
from collections.abc import Container
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from exhausters.cli.options import GRID_HELP, CellsOption, print_dropped_variables
from exhausters.cli.outcomes import print_left_out, print_outcomes
from exhausters.console import error_console, errors_shown, output_console, print_line


def check(
    target: Annotated[str, typer.Argument(metavar="TARGET", help="release:X, path:DIR or git:DIR@REV.")],
    grid: Annotated[str, typer.Option(help=GRID_HELP)] = "check",
    cells: CellsOption = None,
    out: Annotated[Path, typer.Option(help="Folder for check.json, issue.md and scripts.")] = Path(
        "results/check"
    ),
    workers: Annotated[
        int | None, typer.Option(min=1, help="Schedulers side by side (default: one per core).")
    ] = None,
    max_runs: Annotated[
        int, typer.Option(min=0, help="Runs for finding the smallest script of a finding; 0 for no script.")
    ] = 120,
) -> None:
    """Judge one build by promises that hold at every step; exit 0 kept, 1 broken, 2 not judged."""
    from exhausters.check.groups import exit_code, grouped, promise_counts
    from exhausters.check.plan import with_rounds
    from exhausters.check.report import check_json, findings_view, issue_text
    from exhausters.check.shrink import Shrunk, shrink
    from exhausters.oracles.rounds import OF_ROUNDS
    from exhausters.progress import ShownProgress
    from exhausters.sweep.drain import CHECKED, DrainLimits, RunOptions
    from exhausters.sweep.execute import LocalExecutor
    from exhausters.sweep.grid import load_grid
    from exhausters.sweep.plan import plan_sweep
    from exhausters.sweep.record import RunRecord
    from exhausters.sweep.workers import Workers
    from exhausters.targets import prepare

    console, errors = output_console(), error_console()
    with errors_shown(errors):
        chosen = load_grid(grid).select(cells or ())
        print_dropped_variables(errors)
        print_left_out(errors, chosen)
        out.mkdir(parents=True, exist_ok=True)
        # Far above what a cell of the stock grid takes; what goes on for longer goes on without pressure.
        options = RunOptions(passes=(CHECKED,), limits=DrainLimits(max_steps=_PRESSED_STEPS))
        found: dict[str, RunRecord] = {}
        with ShownProgress(errors, total=len(chosen.cells)) as progress:
            prepared = prepare(target, on_progress=progress.say)
            executor = LocalExecutor(workers)
            tasks = with_rounds(
                plan_sweep(
                    prepared,
                    chosen,
                    workers=executor.workers,
                    options=options,
                    timeout_seconds=_CELL_TIMEOUT_SECONDS,
                )
            )
            with closing(executor.run(tasks)) as ended:
                for record in ended:
                    found[record.cell.id] = record
                    progress.step(len(found), len(chosen.cells))
            records = [found[cell.id] for cell in chosen.cells]
            groups, counts = grouped(records), promise_counts(records)
            scripts: dict[str, Shrunk] = {}
            with Workers(limit=1) as owner, owner.lease() as lease:
                for group in groups if max_runs else ():
                    if group.promise in OF_ROUNDS:
                        print_line(errors, f"no script: {group.promise} shows over several rounds only")
                        continue
                    name = _file_name(group.promise, taken=scripts)
                    progress.say(f"cutting down {group.promise}")
                    shrunk = shrink(group, prepared, lease, out / name, max_runs=max_runs)
                    if shrunk is None:
                        print_line(errors, f"no script: {group.promise} did not come back when run again")
                    else:
                        scripts[name] = shrunk
        document = check_json(prepared, chosen.name, records, groups, counts, scripts)
        (out / "check.json").write_text(json.dumps(document, indent=1) + "\n")
        (out / "issue.md").write_text(issue_text(prepared, records, groups, scripts))
    console.print(findings_view(groups, counts, scripts, title=f"{prepared.name}, grid {chosen.name}"))
    print_outcomes(console, records, out, noun="cells")
    raise typer.Exit(exit_code(records))


_PRESSED_STEPS = 4_000
# A cell that is also run in rounds takes several times as long as one.
_CELL_TIMEOUT_SECONDS = 1_200.0


def _file_name(promise: str, *, taken: Container[str]) -> str:
    stem = f"test_{promise.replace(' ', '_')}"
    name, number = f"{stem}.py", 2
    while name in taken:
        name, number = f"{stem}_{number}.py", number + 1
    return name
