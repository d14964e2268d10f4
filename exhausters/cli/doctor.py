"""`exhausters doctor`: examine a target."""

from __future__ import annotations

import typer
from rich.console import Console

from exhausters.cli.options import DEFAULT_TARGET, TargetOption
from exhausters.console import FAILED, error_console, errors_shown


def doctor(target: TargetOption = DEFAULT_TARGET) -> None:
    """Examine the machine and a target: which SGLang and tree core would run, and what is missing."""
    from exhausters.doctor import examine

    console = Console()
    with errors_shown(error_console()):
        if not examine(target, console):
            raise typer.Exit(FAILED)
