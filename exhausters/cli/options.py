"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from exhausters.sweep.grid import BUILT_IN
from exhausters.targets import NEWEST_RELEASE

TargetOption = Annotated[
    str, typer.Option("--target", help="release:X, path:DIR (a checkout) or git:DIR@REV.", metavar="TARGET")
]
DEFAULT_TARGET = f"release:{NEWEST_RELEASE}"
CELLS_HELP = "Only cells whose id matches this pattern, e.g. 'agents/*pages=80*'."
GRID_HELP = f"{', '.join(BUILT_IN)}, or a TOML file."
