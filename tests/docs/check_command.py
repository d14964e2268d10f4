"""Whether a command that a page shows exists, and takes the options that it is given there."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import typer

from exhausters.cli.app import app
from exhausters.sweep.grid import BUILT_IN
from reports.cli.app import app as reports_app
from tests.docs.pages import ROOT, Command

_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_PLACEHOLDER = re.compile(r"[A-Z][A-Z_]*(?:\|[A-Z]\S*)?")
_ANYTHING = "…"
# Programs that a page may use and that are not this project's; what they are given is not checked.
_FOREIGN = frozenset(
    {"cat", "cd", "cp", "curl", "diff", "echo", "export", "git", "grep", "head", "ls", "mkdir", "mv", "rm"}
    | {"sed", "source", "tail", "unzip", "uv", "xargs"}
)
_FOREIGN_MODULES = frozenset({"http.server", "pip", "pytest", "venv", "asv"})


def fault_of(command: Command) -> str | None:
    """Return what is wrong with a command, None when nothing is."""
    for words in _simple_commands(command.text):
        fault = _fault(words, is_inline=command.is_inline)
        if fault is not None:
            return f"{command.place}: `{command.text}`: {fault}"
    return None


def _simple_commands(text: str) -> list[list[str]]:
    """The commands of a line of the shell, as words, without redirections and the brackets of a usage."""
    lexer = shlex.shlex(_plain(text), posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    found: list[list[str]] = [[]]
    for word in lexer:
        if set(word) <= set("();|&"):
            found.append([])
        else:
            found[-1].append(word)
    return [words for words in found if words]


def _plain(text: str) -> str:
    """A line without redirections, whose optional parts are given, and of whose alternatives the first is."""
    parts = re.split(r"('[^']*'|\"[^\"]*\")", text)
    for position in range(0, len(parts), 2):
        part = re.sub(r"\[([^\]]*)\]", lambda found: found[1].replace(" | ", " "), parts[position])
        part = re.sub(r"\d?>{1,2} *(?:&\d|\S+)", "", part)
        parts[position] = re.sub(r"(?<=\w)(?:\|[\w.]+)+", "", part)
    return "".join(parts)


def _fault(words: Sequence[str], *, is_inline: bool) -> str | None:
    words = [word for word in words if word != _ANYTHING]
    while words and _ASSIGNMENT.match(words[0]):
        words = words[1:]
    if not words:
        return None
    program, arguments = Path(words[0]).name, words[1:]
    if program == "exhausters":
        return _app_fault(app, arguments, is_inline=is_inline)
    if program == "make":
        return _make_fault(arguments)
    if program == "asv":
        return _asv_fault(arguments)
    if re.fullmatch(r"python(3[.\d]*)?", program):
        return _python_fault(arguments, is_inline=is_inline)
    if program in ("pip", "pytest", "pre-commit") or program in _FOREIGN:
        return _pip_fault(arguments) if program == "pip" else None
    return f"{program}: not a program that pages use; expected exhausters, make, python or one of the list"


def _app_fault(of: typer.Typer, arguments: Sequence[str], *, is_inline: bool) -> str | None:
    """What a command line made with typer has against its arguments."""
    group: Any = typer.main.get_command(of)
    if arguments[:1] == ["--help"]:
        return None
    name = arguments[0] if arguments else ""
    command = group.commands.get(name)
    if command is None:
        return f"no command {name!r}; there are {', '.join(group.commands)}"
    if is_inline and len(arguments) == 1:
        return None
    given = arguments[1:]
    if hasattr(command, "commands"):  # `exhausters cache list`
        below = given[0] if given else ""
        if below not in command.commands:
            return f"no command {name} {below}; there are {', '.join(command.commands)}"
        command, given = command.commands[below], given[1:]
    return _parse_fault(lambda: _parsed_by_typer(command, given), is_inline=is_inline)


def _parsed_by_typer(command: Any, arguments: Sequence[str]) -> None:
    if "--help" in arguments:
        return
    given = ["1" if word == "N" else word for word in arguments]
    with command.make_context(command.name, given) as context:
        _require_grid(context.params.get("grid"))


def _require_grid(grid: object) -> None:
    if not isinstance(grid, str) or grid in BUILT_IN or _PLACEHOLDER.fullmatch(grid):
        return
    if not grid.endswith(".toml"):
        raise ValueError(f"no grid {grid!r}; there are {', '.join(BUILT_IN)}")


def _parse_fault(parse: Callable[[], None], *, is_inline: bool) -> str | None:
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            parse()
    except SystemExit:  # argparse
        return said.getvalue().strip().rpartition("error: ")[2]
    except Exception as error:  # of click, or of typer's copy of it: their classes have no common base
        message = str(getattr(error, "message", "") or error)
        # A sentence may name an option without the rest of the command.
        is_rest = is_inline and type(error).__name__ == "MissingParameter"
        return None if is_rest else f"{type(error).__name__}: {message}"
    return None


def _make_fault(arguments: Sequence[str]) -> str | None:
    text = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([\w-]+):", text, flags=re.MULTILINE))
    variables = set(re.findall(r"\$\((?:if \$\()?(\w+)\)", text))
    # `-C` is followed by the folder.
    given = [
        word for position, word in enumerate(arguments) if "-C" not in arguments[position - 1 : position]
    ]
    for word in given:
        if _ASSIGNMENT.match(word):
            if word.partition("=")[0] not in variables:
                return f"the Makefile has no variable {word.partition('=')[0]}"
        elif not word.startswith("-") and word not in targets and not _PLACEHOLDER.fullmatch(word):
            return f"the Makefile has no target {word}"
    return None


def _asv_fault(arguments: Sequence[str]) -> str | None:
    from asv.commands import make_argparser

    parser, _ = make_argparser()
    # `asv compare` in a sentence is the command as such.
    if len(arguments) == 1:
        return None if f"{arguments[0]}" in parser.format_help() else f"asv has no command {arguments[0]}"

    def parse() -> None:
        parser.parse_args(list(arguments))

    return _parse_fault(parse, is_inline=True)


def _python_fault(arguments: Sequence[str], *, is_inline: bool) -> str | None:
    if not arguments or arguments[0] != "-m":
        return None
    module, given = arguments[1], arguments[2:]
    if module == "reports":
        return _app_fault(reports_app, given, is_inline=is_inline)
    if module in ("exhausters", "exhausters.cli"):
        return (
            _app_fault(app, given, is_inline=is_inline) if module.endswith("cli") else f"no module {module}"
        )
    if module in _FOREIGN_MODULES:
        return _pip_fault(given) if module == "pip" else None
    if importlib.util.find_spec(module) is None:
        return f"no module {module}"
    options = [word.partition("=")[0] for word in given if word.startswith("-") and word != "--help"]
    missing = [option for option in options if option not in _help(module)]
    return f"{module} has no option {', '.join(missing)}" if missing else None


@cache
def _help(module: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", module, "--help"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout


def _pip_fault(arguments: Sequence[str]) -> str | None:
    """Whether extras of this project that are to be installed exist."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for word in arguments:
        found = re.fullmatch(rf"(?:{project['name']}|\.)\[([\w,-]+)\](?:\S*)", word)
        for extra in found[1].split(",") if found else ():
            if extra not in project["optional-dependencies"]:
                return f"the project has no extra {extra}"
    return None
