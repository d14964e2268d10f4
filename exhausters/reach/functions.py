"""Which function a line belongs to, so that what was executed on one build can be looked up for another."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

from exhausters.reach.source_text import called_name


class Function(NamedTuple):
    """A function of a build: path below the source folder, and its name in that file, e.g. `Adder.add`."""

    file: str
    name: str

    def __str__(self) -> str:
        return self.name


# Line numbers from 0, which is the line of the function's `def`: equal in builds in which the function is.
OwnLines = frozenset[int]


def lines_by_function(file: str, text: str, lines: Iterable[int]) -> dict[Function, OwnLines]:
    """Return the innermost functions in whose bodies these lines are, each with its lines counted from it.

    Lines outside of all bodies are left out, and so is everything of a file that is no Python.
    """
    owners = _owners(text)
    found: dict[Function, set[int]] = {}
    for line in lines:
        if line in owners:
            name, definition = owners[line]
            found.setdefault(Function(file, name), set()).add(line - definition)
    return {function: frozenset(own) for function, own in found.items()}


def callers(file: str, text: str, names: frozenset[str]) -> frozenset[Function]:
    """Return the functions of a file that call something by one of these names, whatever it is a part of."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return frozenset()
    called = [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and called_name(node.func) in names
    ]
    return frozenset(lines_by_function(file, text, called))


def function_names(text: str) -> frozenset[str]:
    """Return the name in the file of every function that it defines."""
    return frozenset(name for name, *_ in _spans(text))


def ranges_text(lines: Iterable[int]) -> str:
    """Return lines as `0-3,7`."""
    parts: list[list[int]] = []
    for line in sorted(lines):
        if parts and line == parts[-1][1] + 1:
            parts[-1][1] = line
        else:
            parts.append([line, line])
    return ",".join(f"{first}" if first == last else f"{first}-{last}" for first, last in parts)


def lines_of_text(text: str) -> Iterator[int]:
    """Yield the lines that `ranges_text` wrote; raises ValueError for anything else."""
    for part in text.split(","):
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)


@lru_cache(maxsize=2_048)
def _owners(text: str) -> Mapping[int, tuple[str, int]]:
    """The innermost function around each line, with the line of its `def`."""
    owners: dict[int, tuple[str, int]] = {}
    for name, first, last, definition in sorted(_spans(text), key=lambda span: span[1] - span[2]):
        owners.update((line, (name, definition)) for line in range(first, last + 1))
    return owners


def _spans(text: str) -> list[tuple[str, int, int, int]]:
    """Name, first and last line of the body, and line of the `def`, of every function."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return []
    found: list[tuple[str, int, int, int]] = []
    _collect(tree, "", found)
    return found


def _collect(node: ast.AST, prefix: str, found: list[tuple[str, int, int, int]]) -> None:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            first = child.body[0]
            found.append((prefix + child.name, first.lineno, child.end_lineno or first.lineno, child.lineno))
            _collect(child, f"{prefix}{child.name}.", found)
        elif isinstance(child, ast.ClassDef):
            _collect(child, f"{prefix}{child.name}.", found)
        else:
            _collect(child, prefix, found)
