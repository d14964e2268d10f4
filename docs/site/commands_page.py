"""The page of all commands, made from the command line itself."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import typer

from exhausters.cli.app import app

_HEAD = """\
# Commands

Made from the command line itself: `exhausters COMMAND --help` prints the same. `TARGET`, `BASE` and `HEAD`
are `release:X`, `path:DIR` (a checkout) or `git:DIR@REV`. Exit codes: 0 when a command did what it was asked,
1 for an answer that something is worse, differs, fails a test or breaks a promise, 2 for bad input, a
failure, or an answer that could not be decided: for `gate` and `compare` undecided, unreached or broken.
"""


def commands_page() -> str:
    """Return the page as Markdown, with the commands in the order of `exhausters --help`."""
    # Of click or of typer's own copy of it, by version: both have the same attributes.
    group: Any = typer.main.get_command(app)
    return "\n".join([_HEAD, *(_section(name, command) for name, command in _commands(group))])


def _commands(group: Any) -> Iterator[tuple[str, Any]]:
    """Each command with its whole name: those of `exhausters cache` have two words."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from ((f"{name} {below}", one) for below, one in _commands(command))
        else:
            yield name, command


def _section(name: str, command: Any) -> str:
    with command.make_context(f"exhausters {name}", [], resilient_parsing=True) as context:
        usage = " ".join(command.collect_usage_pieces(context))
        rows = [_row(one, context) for one in command.params]
    table = ["", "| option | meaning | default |", "|---|---|---|", *rows] if rows else []
    about = inspect.cleandoc(command.help or "")
    return "\n".join([f"## {name}", "", f"`exhausters {name} {usage}`", "", about, *table, ""])


def _row(one: Any, context: Any) -> str:
    is_argument = one.param_type_name == "argument"
    # Of a switch also the spelling that turns it off.
    name = (one.metavar or one.name.upper()) if is_argument else " / ".join([*one.opts, *one.secondary_opts])
    default = one.get_default(context, call=False)
    is_shown = default not in (None, "", (), []) and not callable(default)
    cells = (f"`{name}`", one.help or "", f"`{default}`" if is_shown else "")
    return "| " + " | ".join(cell.replace("\n", " ").replace("|", "\\|") for cell in cells) + " |"
