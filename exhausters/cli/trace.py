"""`exhausters trace`: the decision logs of stored records as a trace for Perfetto."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from exhausters.console import error_console, errors_shown, output_console, print_line


def trace(
    records: Annotated[Path, typer.Argument(help="Folder of a sweep or of pairs.")],
    out: Annotated[Path, typer.Option(help="The file, e.g. trace.json.")],
    cells: Annotated[
        str | None, typer.Option(help="Id of a cell, a part of it, or a pattern with * and ?.")
    ] = None,
) -> None:
    """Write what the scheduler decided as a Chrome trace, which https://ui.perfetto.dev opens."""
    import json

    from exhausters.sweep.cell_patterns import matching_cells
    from exhausters.sweep.read_records import read_records
    from exhausters.why.exports import records_trace

    with errors_shown(error_console()):
        stored = read_records(records).records
        chosen = {
            cell.id for cell in matching_cells([record.cell for record in stored], [cells] if cells else ())
        }
        # Of the runs of a cell on one target, those that decided the same are shown once.
        runs = {
            (record.target, record.cell.id, record.result.log.digest): record
            for record in stored
            if record.cell.id in chosen
        }
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(records_trace(tuple(runs.values()))))
    print_line(output_console(), f"{len(runs)} runs: {out}")
