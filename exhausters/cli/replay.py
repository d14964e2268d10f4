"""`exhausters replay`: run a record's cell again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from exhausters.console import FAILED, error_console, errors_shown, output_console, print_line

if TYPE_CHECKING:
    from exhausters.sweep.replay import Replayed

_SAME, _DIFFERS = 0, 1
_WORDS = {_SAME: "the same", _DIFFERS: "differ", FAILED: "could not be run"}


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
    """Run the cells of a folder of records again: 0 if they come out the same, 1 if not, 2 if they cannot.

    Prints the cells that do not, and how many do.
    """
    from exhausters.sweep.execute import LocalExecutor
    from exhausters.sweep.read_records import read_records
    from exhausters.sweep.replay import replay as run_again
    from exhausters.sweep.replay import stored_runs
    from exhausters.targets import prepare

    errors = error_console()
    codes: list[int] = []
    with errors_shown(errors):
        records = stored_runs(read_records(record), cell)
        by_text = {text: prepare(text) for text in {target or one.target for one in records}}
        targets = {one.target: by_text[target or one.target] for one in records}
        for replayed in run_again(records, targets, LocalExecutor(workers)):
            codes.append(_shown(replayed))
    counts = {word: codes.count(code) for code, word in _WORDS.items()}
    told = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    print_line(output_console(), f"{len(codes)} {'run' if len(codes) == 1 else 'runs'} again: {told}")
    raise typer.Exit(max(codes, default=_SAME))


def _shown(replayed: Replayed) -> int:
    """Print one cell unless it came out the same; return its exit code."""
    found, stored = replayed.found, replayed.stored
    where = found.cell.id if found.target == stored.target else f"{found.cell.id} on {found.target}"
    console = output_console()
    if replayed.failed:
        print_line(console, f"could not: {where}: {found.result.outcome}: {found.result.reason}")
        return FAILED
    if not replayed.differences:
        return _SAME
    print_line(console, f"differs: {where}")
    for clause in replayed.differences:
        print_line(console, f"  {clause}")
    return _DIFFERS
