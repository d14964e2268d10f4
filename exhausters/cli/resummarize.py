"""`exhausters resummarize`: compute the metrics of stored records again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from exhausters.console import errors_shown, output_console, print_line


def resummarize(
    folder: Annotated[Path, typer.Argument(metavar="RECORDS", help="Folder of a sweep or of pairs.")],
) -> None:
    """Compute decision and modelled-time metrics again from stored logs, and fill in what is missing."""
    from exhausters.sweep.refill import refill

    console = output_console()
    with errors_shown():
        found = refill(folder)
    console.print(f"{found.records} records: {_counts(found.added)} added, {_counts(found.changed)} changed")
    for reason, count in found.left.items():
        print_line(console, f"left as they are: {count} records: {reason}")


def _counts(counts: Mapping[str, int]) -> str:
    names = f" ({', '.join(sorted(counts))})" if counts else ""
    return f"{sum(counts.values())} values{names}"
