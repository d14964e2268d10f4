"""Options that several commands share."""

from __future__ import annotations

import os
from typing import Annotated

import typer
from rich.console import Console

from exhausters.engine.load import ambient_prefixes
from exhausters.sweep.grid import BUILT_IN
from exhausters.targets import NEWEST_RELEASE

TargetOption = Annotated[
    str, typer.Option("--target", help="release:X, path:DIR (a checkout) or git:DIR@REV.", metavar="TARGET")
]
DEFAULT_TARGET = f"release:{NEWEST_RELEASE}"
CellsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--cells", metavar="PATTERN", help="Only cells whose id matches, as in a shell; repeatable."
    ),
]
WorkersOption = Annotated[
    int | None, typer.Option("--workers", min=1, help="Schedulers side by side (default: one per core).")
]
GRID_HELP = f"{', '.join(BUILT_IN)}, or a TOML file."
GRID_OR_FOLDER_HELP = f"{GRID_HELP} Or a folder of records, e.g. of `compare`: the cells that it ran."


def print_dropped_variables(console: Console) -> None:
    """Print one note that names the variables of the shell that SGLang would read and no worker is given."""
    dropped = sorted(name for name in os.environ if name.startswith(ambient_prefixes()))
    if dropped:
        console.print(
            f"not passed on to SGLang: {', '.join(dropped)} of this shell; a grid sets variables by env.NAME",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
