"""The command `python -m reports`; `exhausters` offers the same commands.

Exit codes are listed in `exhausters.console`. Only `gate` exits with 1: `build` and `history` show what there
is.
"""

from __future__ import annotations

import typer

from reports.cli.build import build
from reports.cli.gate import gate
from reports.cli.history import history
from reports.cli.scan_report import scan_report

COMMANDS = (gate, build, history, scan_report)

app = typer.Typer(
    help="Judge the results of two builds, or report on all of them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in COMMANDS:
    app.command()(command)
