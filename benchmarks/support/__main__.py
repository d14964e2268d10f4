"""`python -m benchmarks.support`: run the grid `features` on every release, and write docs/support.md.

A release that was swept before, by this version and on this grid, is not swept again; `--out` keeps all.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from benchmarks.support.measure import measured, sweep_releases
from benchmarks.support.table import support_tables
from benchmarks.trust.marked_text import write_between
from exhausters.console import error_console, errors_shown, output_console, print_line
from exhausters.sweep.grid import load_grid
from exhausters.sweep.read_records import StoredRecords
from exhausters.targets import SUPPORTED_RELEASES

BEGIN, END = "<!-- tables: begin -->", "<!-- tables: end -->"


def main(
    target: Annotated[
        list[str] | None, typer.Option(help="Sweep these only; repeatable. By default every release.")
    ] = None,
    grid: Annotated[str, typer.Option(help="The grid whose parts are the features.")] = "features",
    out: Annotated[Path, typer.Option(help="Folder of the sweeps.")] = Path("results/support"),
    document: Annotated[
        Path | None, typer.Option(help="Where the tables go, between its marks; else they are printed.")
    ] = None,
) -> None:
    """Say what works on which release. The tables have every release that has been swept."""
    errors = error_console()
    with errors_shown(errors):
        chosen = load_grid(grid)
        releases = [f"release:{one}" for one in reversed(SUPPORTED_RELEASES)]
        found: dict[str, StoredRecords] = sweep_releases(
            target or releases, chosen, out, say=lambda text: print_line(errors, text)
        )
        for one in releases:
            kept = measured(out / one.replace(":", "-"), chosen)
            if kept is not None:
                found.setdefault(one, kept)
        in_order = sorted(found, key=lambda one: releases.index(one) if one in releases else -1)
        tables = support_tables({one: found[one] for one in in_order}, chosen)
        if document is None:
            print_line(output_console(), tables)
        else:
            write_between(document, BEGIN, END, tables)


# asv imports every module below its benchmark folder.
if __name__ == "__main__":
    typer.run(main)
