"""`exhausters replay`: run a record's cell again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from exhausters.console import FAILED, error_console, errors_shown, output_console, print_line

if TYPE_CHECKING:
    from exhausters.sweep.replay import Replayed

_SAME, _DIFFERS = 0, 1


def replay(
    record: Annotated[
        Path, typer.Argument(metavar="RECORD", help="A folder of records, of sweep, pair or bisect.")
    ],
    cell: Annotated[
        str | None, typer.Option(help="Id of a cell, a part of it, or a pattern with * and ?.")
    ] = None,
    target: Annotated[
        str | None, typer.Option(metavar="TARGET", help="Another build than the record's own.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Schedulers side by side.")] = None,
) -> None:
    """Run the cells of a folder of records again: 0 if they come out the same, 1 if not, 2 if they cannot."""
    from exhausters.sweep.execute import LocalExecutor
    from exhausters.sweep.read_records import read_records
    from exhausters.sweep.replay import replay as run_again
    from exhausters.sweep.replay import stored_runs
    from exhausters.targets import prepare

    errors = error_console()
    codes = {_SAME}
    with errors_shown(errors):
        records = stored_runs(read_records(record), cell)
        by_text = {text: prepare(text) for text in {target or one.target for one in records}}
        targets = {one.target: by_text[target or one.target] for one in records}
        for replayed in run_again(records, targets, LocalExecutor(workers)):
            codes.add(_shown(replayed))
    raise typer.Exit(max(codes))


def _shown(replayed: Replayed) -> int:
    """Print one cell; return its exit code."""
    found, stored = replayed.found, replayed.stored
    where = found.cell.id if found.target == stored.target else f"{found.cell.id} on {found.target}"
    console = output_console()
    if replayed.failed:
        code, said = FAILED, f"could not: {where}: {found.result.outcome}: {found.result.reason}"
    elif replayed.differences:
        code, said = _DIFFERS, f"differs: {where}"
    else:
        code, said = _SAME, f"same: {where}: {found.result.outcome}, {len(found.result.log)} steps"
    print_line(console, said)
    if code == _DIFFERS:
        for clause in replayed.differences:
            print_line(console, f"  {clause}")
    return code
