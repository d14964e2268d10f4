"""Conditions that kept a function from being called at all: those above its call sites, seen from outside."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from exhausters.reach.functions import lines_by_function
from exhausters.reach.reached import Executed, UnreachedLines, guards


def guarded_calls(
    lines: Iterable[UnreachedLines], *, folder: Path, executed: Executed
) -> tuple[UnreachedLines, ...]:
    """Return the entries without a guard of their own once more, with the guard of a call of their function.

    A function that was never called has no condition above it; where it, or its class, is called by name in a
    file that was executed, the condition above that call may be what kept it from being called.

    Args:
        lines: unreached lines of one side.
        folder: the source folder of that side.
        executed: lines that runs and boots of that side executed.
    """
    texts = {file: _text(folder / file) for file in executed}
    found = []
    for one in lines:
        if one.guard:
            continue
        names = _names(one, _text(folder / one.file))
        for guard in dict.fromkeys(_guards_of_calls(names, texts, executed)):
            found.append(replace(one, guard=guard, is_imported=True))
    return tuple(found)


def _names(lines: UnreachedLines, text: str) -> frozenset[str]:
    """The name of the function around the lines, and of its class."""
    functions = lines_by_function(lines.file, text, range(lines.first_line, lines.last_line + 1))
    return frozenset(part for one in functions for part in one.name.split(".")[-2:] if part[:2] != "__")


def _guards_of_calls(names: frozenset[str], texts: Mapping[str, str], executed: Executed) -> list[str]:
    found: list[str] = []
    if not names:
        return found
    word = re.compile(rf"\b(?:{'|'.join(map(re.escape, sorted(names)))})\(")
    for file, text in texts.items():
        # Parsing every file takes seconds; a name that is followed by a bracket is in few of them.
        if not word.search(text):
            continue
        calls = {
            node.lineno
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.Call) and _called(node.func) in names
        }
        missing = frozenset(calls) - executed[file]
        found += guards(text, missing, executed[file]).values()
    return found


def _called(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""
