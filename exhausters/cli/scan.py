"""`exhausters scan`: every commit of a history on one small grid."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from exhausters.cli.options import GRID_HELP, CellsOption
from exhausters.console import FAILED, error_console, errors_shown, output_console, print_line

if TYPE_CHECKING:
    from exhausters.scan.history import History
    from exhausters.scan.scan import Totals
    from exhausters.sweep.grid import Grid


def scan(
    repo: Annotated[Path, typer.Option(help="A repository of SGLang, bare or not; it is only read.")],
    since: Annotated[str, typer.Option(help="First day, such as 2026-05-01, from midnight UTC on.")],
    until: Annotated[str, typer.Option(help="The last commit: an id, a tag or a branch.")] = "HEAD",
    grid: Annotated[str, typer.Option(help=GRID_HELP)] = "scan",
    cells: CellsOption = None,
    out: Annotated[Path, typer.Option(help="Folder for state and records.")] = Path("results/scan"),
    minutes: Annotated[
        float | None, typer.Option(min=0, help="Stop with the first commit that ends after so long.")
    ] = None,
    coarse: Annotated[
        int,
        typer.Option(min=1, help="First every Nth commit that touches the scheduler or its caches."),
    ] = 16,
    keep_exports: Annotated[
        bool,
        typer.Option(
            "--keep-exports",
            help="Leave exported commits in the cache, some 2 MB each beside what they share.",
        ),
    ] = False,
    workers: Annotated[int | None, typer.Option(min=1, help="Schedulers side by side.")] = None,
) -> None:
    """Run a small grid on the commits of a history that can change what a worker does, telling ones first."""
    from exhausters.scan.exports import Exports
    from exhausters.scan.history import read_history
    from exhausters.scan.runs import ScanRuns
    from exhausters.scan.scan import scan as run_scan
    from exhausters.scan.state import scan_folder
    from exhausters.sweep.grid import load_grid
    from exhausters.worker.bases import Bases

    errors = error_console()

    def say(text: str) -> None:
        print_line(errors, text)

    with errors_shown(errors):
        history = read_history(repo, since=since, until=until)
        chosen = load_grid(grid).select(cells or ())
        with scan_folder(out, _identity(history, chosen)) as state, Bases() as bases:
            state.note_last(history.commits[-1].id)
            exports = Exports(keep=keep_exports)
            runs = ScanRuns(
                history=history, grid=chosen, state=state, exports=exports, workers=workers, bases=bases
            )
            seconds = None if minutes is None else 60 * minutes
            try:
                found = run_scan(history, state, runs, say=say, stop_after_seconds=seconds, coarse=coarse)
            except KeyboardInterrupt:
                say(f"interrupted; the same command goes on from what is in {out}")
                raise typer.Exit(FAILED) from None
            finally:
                exports.close()
    for text in _report(found, out):
        print_line(output_console(), text)


def _identity(history: History, grid: Grid) -> dict[str, str]:
    """What a folder must agree in for a scan to go on from it; the range may grow."""
    from exhausters.sweep.cache_key import harness_digest

    return {
        "repository": str(history.repository),
        "first": history.commits[0].id,
        "grid": grid.name,
        "cells": grid.digest,
        "harness": harness_digest(),
    }


def _report(found: Totals, out: Path) -> list[str]:
    from exhausters.scan.scan import duration

    return [
        f"{found.tried} of {found.touching + 1} commits that can change what a worker does, "
        f"of {found.commits} in the range: {found.scanned} scanned, {found.broken} broken, "
        f"{found.failed} failed",
        f"changes of decisions: {found.decisions}, of counted work: {found.work}; "
        f"not narrowed down: {found.open}",
        f"machine time {duration(found.seconds)}; records: {out}",
    ]
