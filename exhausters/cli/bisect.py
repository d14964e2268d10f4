"""`exhausters bisect`: which commit changed a decision or a metric."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from exhausters.cli.options import GRID_OR_FOLDER_HELP, CellsOption
from exhausters.console import FAILED, error_console, errors_shown, output_console, print_line
from exhausters.errors import UsageError

if TYPE_CHECKING:
    from exhausters.bisect.first_parents import FirstParents
    from exhausters.bisect.question import Question
    from exhausters.bisect.search import Found
    from exhausters.bisect.state import BisectFolder
    from exhausters.sweep.execute import Executor
    from exhausters.sweep.grid import Grid

# Cells that are shown; the folder has all of them.
_SHOWN_CHANGES = 12


def bisect(
    good: Annotated[str, typer.Argument(metavar="GOOD", help="The older commit, tag or branch.")],
    bad: Annotated[str, typer.Argument(metavar="BAD", help="The newer one.")],
    repo: Annotated[Path, typer.Option(help="A repository of SGLang, bare or not; it is only read.")],
    grid: Annotated[str, typer.Option(help=GRID_OR_FOLDER_HELP)] = "quick",
    cells: CellsOption = None,
    metric: Annotated[
        str | None, typer.Option(help="Bad: its total over the cells is nearer to BAD's value than GOOD's.")
    ] = None,
    decisions: Annotated[
        bool, typer.Option("--decisions", help="Bad: a cell decides otherwise than GOOD (the default).")
    ] = False,
    out: Annotated[Path, typer.Option(help="Folder for state and records.")] = Path("results/bisect"),
    cache: Annotated[bool, typer.Option(help="Take exact results of equal builds from the cache.")] = True,
    workers: Annotated[int | None, typer.Option(min=1, help="Schedulers side by side.")] = None,
) -> None:
    """Find the commit that changed a decision or a metric, by bisection over first parents."""
    from exhausters.bisect.first_parents import first_parents
    from exhausters.bisect.question import question
    from exhausters.bisect.state import bisect_folder
    from exhausters.sweep.execute import LocalExecutor
    from exhausters.sweep.result_cache import ResultCache
    from exhausters.sweep.stored_cells import load_cells
    from exhausters.worker.bases import Bases

    with errors_shown(error_console()):
        if metric is not None and decisions:
            raise UsageError(f"--metric {metric} and --decisions: expected one of them")
        asked = question(metric)
        line = first_parents(repo, good, bad)
        chosen = load_cells(grid).select(cells or ())
        with bisect_folder(out, _identity(line, asked, chosen)) as state, Bases() as bases:
            executor = LocalExecutor(workers, cache=ResultCache() if cache else None, bases=bases)
            found = _found(line, asked, chosen, executor, state)
    console = output_console()
    if found is None:
        text = f"{asked.text}: both ends are the same in all {len(chosen.cells)} cells; nothing to find"
        print_line(console, text)
        raise typer.Exit(FAILED)
    for text in _report(line, asked, found, state, grid):
        print_line(console, text)
    if len(found.candidates) > 1:
        raise typer.Exit(FAILED)


def _found(
    line: FirstParents, asked: Question, grid: Grid, executor: Executor, state: BisectFolder
) -> Found | None:
    """Search, and print what is tried; after Ctrl-C, what to do."""
    from exhausters.bisect.commit_runs import SweptCommits
    from exhausters.bisect.search import search
    from exhausters.sweep.run_options import RunOptions
    from exhausters.sweep.runner import SweepOptions

    errors = error_console()

    def say(text: str) -> None:
        print_line(errors, text)

    runs = SweptCommits(
        line=line,
        grid=grid,
        options=SweepOptions(run=RunOptions(count_work=asked.count_work)),
        executor=executor,
        state=state,
        on_progress=say,
    )
    try:
        return search(line, asked, runs, state, say)
    except KeyboardInterrupt:
        say(f"interrupted; the same command goes on from what is in {state.folder}")
        raise typer.Exit(FAILED) from None


def _identity(line: FirstParents, asked: Question, grid: Grid) -> dict[str, str]:
    """What a folder must agree in for a bisection to go on from it."""
    from exhausters.sweep.cache_key import harness_digest

    return {
        "repository": str(line.repository),
        "good": line.good,
        "bad": line.bad,
        "question": asked.text,
        "cells": grid.digest,
        "harness": harness_digest(),
    }


def _report(line: FirstParents, asked: Question, found: Found, state: BisectFolder, grid: str) -> list[str]:
    lines = [f"{asked.text} changed in {line.title(found.commit)}"]
    if len(found.candidates) > 1:
        lines = [
            f"{asked.text} changed in one of {len(found.candidates)} commits; all but the last could not run:"
        ]
        lines += [f"  {line.title(commit)}" for commit in found.candidates]
    changes = asked.changes(found.before, found.after)
    lines += [f"  {change}" for change in changes[:_SHOWN_CHANGES]]
    if len(changes) > _SHOWN_CHANGES:
        lines.append(f"  and {len(changes) - _SHOWN_CHANGES} more cells")
    counts = f"{len(state.booted)} booted, {len(state.skipped)} skipped"
    lines.append(f"{found.tested} of {len(line.commits) + 1} commits judged, {counts}")
    lines.append("head is the first bad commit, base the last good one; more:")
    commands = [_why(line, asked, found, grid), _gate(found, state)]
    commands.append(["git", "-C", str(line.repository), "show", found.commit])
    return [*lines, *(f"  {shlex.join(command)}" for command in commands)]


def _why(line: FirstParents, asked: Question, found: Found, grid: str) -> list[str]:
    """Explain the first cell in which the two commits differ, both ends of what is asked."""
    pairs = list(zip(found.before, found.after, strict=True))
    cell = next((head.cell for base, head in pairs if asked.differ([base], [head])), found.after[0].cell)
    targets = [line.target(commit) for commit in (found.good, found.commit)]
    return ["exhausters", "why", *targets, "--grid", grid, "--cell", cell.id]


def _gate(found: Found, state: BisectFolder) -> list[str]:
    folders = (state.records_folder(commit) for commit in (found.good, found.commit))
    return ["exhausters", "gate", *map(str, folders)]
