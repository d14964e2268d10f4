"""Conditions that kept a function from being called at all: those above its call sites, seen from outside."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache, lru_cache
from pathlib import Path

from exhausters.reach.functions import lines_by_function
from exhausters.reach.reached import Executed, UnreachedLines, guards
from exhausters.reach.source_text import called_name, read_source

# A function, the one that calls it, and the one that calls that.
_MAX_CALLERS = 3
# A name that is called in more files than this (`get`, `forward`) says nothing about who calls what.
_MOST_CALLING_FILES = 30
# Both builds import some 1,100 files each, most of them equal; they are asked about again after each try.
_MOST_FILES = 4_096
_WORD_BEFORE_BRACKET = re.compile(r"\b(\w+)\(")


def guarded_calls(
    lines: Iterable[UnreachedLines], *, folder: Path, executed: Executed
) -> tuple[UnreachedLines, ...]:
    """Return the entries without a guard of their own once more, with the guard of a call of their function.

    A function that was never called has no condition above it; where it, or its class, is called by name in a
    file that was executed, the condition above that call may be what kept it from being called. A call in a
    function that was not called either leads to the calls of that one. Of a file that was not imported, the
    same holds for the lines that would import it, or its package.

    Args:
        lines: unreached lines of one side.
        folder: the source folder of that side.
        executed: lines that runs and boots of that side executed.
    """
    texts = {file: read_source(folder / file) for file in executed}
    # A refactor changes many lines of one function.
    of_calls = cache(lambda names: _guards_of_calls(names, texts, executed))
    of_imports = cache(lambda file: _guards_of_imports(file, texts, executed))
    found = []
    for one in lines:
        if one.guard:
            continue
        names = _names(one, read_source(folder / one.file))
        found_guards = of_calls(names)
        if one.file not in executed:
            found_guards = [*found_guards, *of_imports(one.file)]
        for guard in dict.fromkeys(found_guards):
            found.append(replace(one, guard=guard, is_imported=True))
    return tuple(found)


def _names(lines: UnreachedLines, text: str) -> frozenset[str]:
    """The name of the function around the lines, and of its class."""
    functions = lines_by_function(lines.file, text, range(lines.first_line, lines.last_line + 1))
    return frozenset(part for one in functions for part in one.name.split(".")[-2:] if part[:2] != "__")


def _guards_of_calls(names: frozenset[str], texts: Mapping[str, str], executed: Executed) -> list[str]:
    found: list[str] = []
    seen: set[str] = set()
    for _ in range(_MAX_CALLERS):
        seen |= names
        names = _telling(names, texts)
        callers: set[str] = set()
        for file, text in texts.items():
            missing = _missing_calls(names, text, executed[file])
            if not missing:
                continue
            guarded = guards(text, missing, executed[file])
            found += [guard.condition for guard in guarded.values()]
            functions = lines_by_function(file, text, missing - guarded.keys())
            callers |= {part for one in functions for part in one.name.split(".")[-1:]}
        names = frozenset(callers - seen)
        if not names:
            break
    return found


def _telling(names: frozenset[str], texts: Mapping[str, str]) -> frozenset[str]:
    """The names that few files call."""
    files = Counter(name for text in texts.values() for name in names & _words_before_brackets(text))
    return frozenset(name for name in names if files[name] <= _MOST_CALLING_FILES)


def _guards_of_imports(file: str, texts: Mapping[str, str], executed: Executed) -> list[str]:
    """Conditions above the lines that would import a file, and above the calls of functions that hold one."""
    module = file.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
    package = file.rpartition("/")[0]
    # A package that is there already does not bring the file.
    is_new = f"{package}/__init__.py" not in executed and not any(
        known.rpartition("/")[0] == package for known in executed
    )
    wanted = frozenset({module, *([package.replace("/", ".")] if package and is_new else [])})
    found: list[str] = []
    holders: set[str] = set()
    for place, text in texts.items():
        missing = _missing_imports(wanted, text, executed[place])
        if not missing:
            continue
        guarded = guards(text, missing, executed[place])
        found += [guard.condition for guard in guarded.values()]
        functions = lines_by_function(place, text, missing - guarded.keys())
        holders |= {one.name.rpartition(".")[2] for one in functions}
    return found + _guards_of_calls(frozenset(holders), texts, executed)


def _missing_imports(modules: frozenset[str], text: str, executed: frozenset[int]) -> frozenset[int]:
    """Lines that import one of the modules by its whole name, and were not executed."""
    if not any(module in text for module in modules):
        return frozenset()
    imports = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and not node.level:
            names = {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names = {alias.name for alias in node.names}
        else:
            continue
        if names & modules:
            imports.add(node.lineno)
    return frozenset(imports) - executed


def _missing_calls(names: frozenset[str], text: str, executed: frozenset[int]) -> frozenset[int]:
    """Lines that call one of the names, and were not executed."""
    # Parsing every file takes seconds; a name that is followed by a bracket is in few of them.
    if not names & _words_before_brackets(text):
        return frozenset()
    return frozenset(line for line, name in _calls(text) if name in names) - executed


@lru_cache(maxsize=_MOST_FILES)
def _words_before_brackets(text: str) -> frozenset[str]:
    return frozenset(_WORD_BEFORE_BRACKET.findall(text))


@lru_cache(maxsize=_MOST_FILES)
def _calls(text: str) -> tuple[tuple[int, str], ...]:
    """The line and the name of each call in a source."""
    return tuple(
        (node.lineno, called_name(node.func))
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call)
    )
