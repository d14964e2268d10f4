"""The functions that a change touches, and those that call functions which only head has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from exhausters.reach.changed_lines import FileChange
from exhausters.reach.functions import Function, OwnLines, callers, function_names, lines_by_function
from exhausters.reach.source_text import read_source


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedFunctions:
    """What a change touches, by function.

    Attributes:
        touched: functions of base or head with a changed line in their body, each with the changed lines of
            base, or of head where base has none there, counted from their `def`.
        callers: functions in changed files that call by name what only head has; without those in `touched`.
        files: files with a change, also where no function has one.
    """

    touched: Mapping[Function, OwnLines]
    callers: frozenset[Function]
    files: frozenset[str]


def changed_functions(changes: Sequence[FileChange], *, base: Path, head: Path) -> ChangedFunctions:
    """Return the functions that the changes touch.

    Args:
        changes: what differs between the two sources.
        base, head: the source folders.
    """
    touched: dict[Function, OwnLines] = {}
    new: set[str] = set()
    texts: dict[str, str] = {}
    for change in changes:
        before, after = (read_source(folder / change.file) for folder in (base, head))
        # Of base first: its lines are nearer to those of the build that the map was measured on.
        for text, lines in ((before, change.base_lines), (after, change.head_lines)):
            for function, own in lines_by_function(change.file, text, lines).items():
                touched.setdefault(function, own)
        new |= {name.rpartition(".")[2] for name in function_names(after) - function_names(before)}
        texts[change.file] = after
    calling = {one for file, text in texts.items() for one in callers(file, text, frozenset(new))}
    return ChangedFunctions(
        touched=touched, callers=frozenset(calling - touched.keys()), files=frozenset(texts)
    )
