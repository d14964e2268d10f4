"""`exhausters check`: judge one build by the promises that a scheduler keeps."""

from __future__ import annotations

import json
from collections.abc import Container, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from exhausters.cli.check_fuzz import check_fuzz
from exhausters.cli.options import GRID_HELP, CellsOption, WorkersOption, print_dropped_variables
from exhausters.cli.outcomes import print_left_out, print_outcomes
from exhausters.console import error_console, errors_shown, output_console, print_line

if TYPE_CHECKING:
    from exhausters.check.groups import Group
    from exhausters.check.shrink import Shrunk
    from exhausters.progress import ShownProgress
    from exhausters.sweep.grid import Grid
    from exhausters.sweep.record import RunRecord
    from exhausters.targets import PreparedTarget


def check(
    target: Annotated[str, typer.Argument(metavar="TARGET", help="release:X, path:DIR or git:DIR@REV.")],
    grid: Annotated[
        str | None, typer.Option(help=f"{GRID_HELP} By default check, and none with --fuzz or --minutes.")
    ] = None,
    cells: CellsOption = None,
    out: Annotated[Path, typer.Option(help="Folder for check.json, issue.md and scripts.")] = Path(
        "results/check"
    ),
    workers: WorkersOption = None,
    max_runs: Annotated[
        int, typer.Option(min=0, help="Runs for finding the smallest script of a finding; 0 for no script.")
    ] = 120,
    fuzz: Annotated[int | None, typer.Option(min=0, help="Play so many drawn scripts.")] = None,
    minutes: Annotated[float | None, typer.Option(min=0, help="Draw scripts for so long, at most.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the drawn scripts.")] = 0,
    corpus: Annotated[
        list[Path] | None, typer.Option(help="Folder of scripts that are played first; repeatable.")
    ] = None,
) -> None:
    """Judge one build by promises that hold at every step; exit 0 kept, 1 broken, 2 not judged."""
    from exhausters.results_folder import answer_folder
    from exhausters.sweep.grid import load_grid

    console, errors = output_console(), error_console()
    is_fuzz = fuzz is not None or minutes is not None or bool(corpus)
    codes = []
    with errors_shown(errors):
        print_dropped_variables(errors)
        chosen = None if grid is None and is_fuzz else load_grid(grid or "check").select(cells or ())
        with answer_folder(out, holds="check"):
            if chosen is not None:
                codes.append(_check_grid(target, chosen, out, workers, max_runs, console, errors))
            if is_fuzz:
                codes.append(
                    check_fuzz(
                        target,
                        scripts=0 if fuzz is None and minutes is None else fuzz,
                        minutes=minutes,
                        seed=seed,
                        corpus=corpus or [],
                        workers=workers,
                        out=out,
                        max_runs=max_runs,
                        console=console,
                        errors=errors,
                    )
                )
    raise typer.Exit(1 if 1 in codes else max(codes))


def _check_grid(
    target: str,
    grid: Grid,
    out: Path,
    workers: int | None,
    max_runs: int,
    console: Console,
    errors: Console,
) -> int:
    from exhausters.check.groups import exit_code, grouped, promise_counts
    from exhausters.check.metamorphic import judge_relations
    from exhausters.check.report import check_json, findings_view, issue_text
    from exhausters.progress import ShownProgress
    from exhausters.results_folder import write_answer
    from exhausters.targets import prepare

    print_left_out(errors, grid)
    with ShownProgress(errors, total=len(grid.cells)) as progress:
        prepared = prepare(target, on_progress=progress.say)
        records = _checked(prepared, grid, workers, progress)
        groups, counts = grouped(records), promise_counts(records)
        relations = judge_relations(records)
        scripts = _scripts(groups, prepared, out, max_runs, progress, errors) if max_runs else {}
    document = check_json(prepared, grid.name, records, groups, counts, relations, scripts)
    title = f"{prepared.name}, grid {grid.name}"
    console.print(findings_view(groups, counts, relations, scripts, title=title))
    write_answer(
        out,
        {
            "check.json": json.dumps(document, indent=1) + "\n",
            "issue.md": issue_text(prepared, records, groups, relations, scripts),
        },
        show=lambda text: print_line(console, text),
    )
    print_outcomes(console, records, out, noun="cells")
    return exit_code(records, relations)


def _checked(
    target: PreparedTarget, grid: Grid, workers: int | None, progress: ShownProgress
) -> list[RunRecord]:
    """Run every cell with its promises judged, and return the records in the grid's order."""
    from exhausters.check.plan import with_rounds
    from exhausters.sweep.execute import LocalExecutor
    from exhausters.sweep.plan import plan_sweep
    from exhausters.sweep.run_options import CHECKED, DrainLimits, RunOptions

    # Far above what a cell of the stock grid takes; what goes on for longer goes on without pressure.
    options = RunOptions(passes=(CHECKED,), limits=DrainLimits(max_steps=_PRESSED_STEPS))
    executor = LocalExecutor(workers)
    tasks = with_rounds(
        plan_sweep(
            target,
            grid,
            workers=executor.workers,
            options=options,
            timeout_seconds=_CELL_TIMEOUT_SECONDS,
        )
    )
    found: dict[str, RunRecord] = {}
    with closing(executor.run(tasks)) as ended:
        for record in ended:
            found[record.cell.id] = record
            progress.step(len(found), len(grid.cells))
    return [found[cell.id] for cell in grid.cells]


def _scripts(
    groups: Sequence[Group],
    target: PreparedTarget,
    out: Path,
    max_runs: int,
    progress: ShownProgress,
    errors: Console,
) -> dict[str, Shrunk]:
    """Write the smallest script of each finding, and return them by file name; say why there is none."""
    from exhausters.check.shrink import shrink
    from exhausters.oracles.rounds import OF_ROUNDS
    from exhausters.sweep.workers import Workers

    scripts: dict[str, Shrunk] = {}
    with Workers(limit=1) as owner, owner.lease() as lease:
        for group in groups:
            if group.promise in OF_ROUNDS:
                print_line(errors, f"no script: {group.promise} shows over several rounds only")
                continue
            name = _file_name(group.promise, taken=scripts)
            progress.say(f"cutting down {group.promise}")
            try:
                shrunk = shrink(group, target, lease, out / name, max_runs=max_runs)
            except OSError as error:  # a full disk costs the script and not the finding
                print_line(errors, f"no script: {out / name} cannot be written ({error.strerror or error})")
                continue
            if shrunk is None:
                print_line(errors, f"no script: {group.promise} did not come back when run again")
            else:
                scripts[name] = shrunk
    return scripts


_PRESSED_STEPS = 4_000
# A cell that is also run in rounds takes several times as long as one.
_CELL_TIMEOUT_SECONDS = 1_200.0


def _file_name(promise: str, *, taken: Container[str]) -> str:
    stem = f"test_{promise.replace(' ', '_')}"
    name, number = f"{stem}.py", 2
    while name in taken:
        name, number = f"{stem}_{number}.py", number + 1
    return name
