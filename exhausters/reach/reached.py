"""Which changed lines were executed, and what kept the others from it."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from types import MappingProxyType

from exhausters.reach.changed_lines import FileChange
from exhausters.reach.source_text import read_source

# Executed lines of each file, by path below the source folder.
Executed = Mapping[str, frozenset[int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreachedLines:
    """Neighbouring changed lines that no run executed.

    Attributes:
        file: path below the source folder.
        side: `base` (lines that are gone) or `head` (lines that are new).
        first_line, last_line: numbers on that side.
        guard: the condition that no run met, as Python; empty when the function was never called or no
            condition stands between.
        is_imported: whether the worker imports the file at all.
    """

    file: str
    side: str
    first_line: int
    last_line: int
    guard: str = ""
    is_imported: bool = True

    def __str__(self) -> str:
        lines = (
            f"{self.first_line}"
            if self.first_line == self.last_line
            else f"{self.first_line}–{self.last_line}"
        )
        text = f"`{self.file}:{lines}`{' (gone)' if self.side == 'base' else ''}"
        if not self.is_imported:
            return f"{text}: the worker does not import this file"
        return f"{text}: guarded by `{self.guard}`" if self.guard else text


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """How much of a change was executed.

    Attributes:
        changed: changed executable lines, of both sides, in files that a worker imports.
        reached: those of them that a run executed.
        unreached: the others, and the changed lines of files that no worker imports.
        boot_only: changed lines that no run executed and that a boot does: constructors, settings. A run then
            works with what they left; whether it made use of it is not known.
        only_tried: changed lines that only runs executed which are not compared.
        import_lines: changed constants and class attributes, of which no run is known to use any.
        only_guards: lines of `reached` that are conditions, and kept other changed lines from running.
        other_files: changed files that were not looked into, since no run imports them.
    """

    changed: int
    reached: int
    unreached: tuple[UnreachedLines, ...]
    boot_only: int = 0
    only_tried: int = 0
    import_lines: int = 0
    only_guards: int = 0
    other_files: int = 0

    @property
    def is_nothing_reached(self) -> bool:
        """Whether there is a change and no run that is compared executed more than its guards.

        A switch that no cell sets is asked, and what is behind it never runs.
        """
        is_some = self.changed > 0 or bool(self.unreached) or self.import_lines > 0
        return is_some and self.reached == self.only_guards

    @property
    def missing(self) -> int:
        """Changed lines of imported files that neither a run nor a boot executed."""
        return self.changed - self.reached - self.boot_only

    def __str__(self) -> str:
        others = f"; {self.other_files} more changed files are imported by no run" if self.other_files else ""
        return self._of_lines() + others

    def _of_lines(self) -> str:
        constants = f"{self.import_lines:,} changed lines of constants, whose use is not known"
        if self.changed:
            text = f"{self.reached:,} of {self.changed:,} changed lines reached"
            if self.only_guards:
                text = f"{text}, {self.only_guards} of them only conditions that kept the rest from running"
            if self.only_tried:
                text = f"{text}, {self.only_tried} only in cells that are not compared"
            if self.boot_only:
                text = f"{text}, {self.boot_only} only while booting"
            return f"{text}, and {constants}" if self.import_lines else text
        if self.import_lines:
            return constants
        return (
            "no line changed in what the workers import" if self.unreached else "no executable line differs"
        )


def measure_reach(
    changes: Sequence[FileChange],
    *,
    base: Path,
    head: Path,
    base_executed: Executed,
    head_executed: Executed,
    imported: frozenset[str],
    base_booted: Executed = MappingProxyType({}),
    head_booted: Executed = MappingProxyType({}),
) -> Reach:
    """Return how much of the changes was executed.

    Args:
        changes: what differs between the two sources.
        base, head: the source folders.
        base_executed, head_executed: lines that runs executed on either side.
        imported: files that a worker of either side imports.
        base_booted, head_booted: lines that a boot executed, where that was recorded.
    """
    changed = reached = boot_only = constants = only_guards = 0
    unreached: list[UnreachedLines] = []
    for change in changes:
        constants += len(change.import_lines) if change.file in imported else 0
        sides = (
            ("base", base, change.base_lines, base_executed, base_booted),
            ("head", head, change.head_lines, head_executed, head_booted),
        )
        for side, folder, lines, executed, booted in sides:
            if change.file not in imported:
                unreached += _ranges(change.file, side, lines, {}, is_imported=False)
                continue
            done = executed.get(change.file, frozenset())
            changed += len(lines)
            reached += len(lines & done)
            in_boot = (lines - done) & booted.get(change.file, frozenset())
            boot_only += len(in_boot)
            missing = lines - done - in_boot
            if missing:
                found = guards(read_source(folder / change.file), missing, done)
                only_guards += len({guard.line for guard in found.values()} & lines & done)
                unreached += _ranges(change.file, side, missing, found)
    return Reach(
        changed=changed,
        reached=reached,
        unreached=tuple(unreached),
        boot_only=boot_only,
        import_lines=constants,
        only_guards=only_guards,
    )


@dataclass(frozen=True, slots=True)
class Guard:
    """A condition that was evaluated and not met: where it begins, and as Python."""

    line: int
    condition: str


def guards(text: str, lines: frozenset[int], executed: frozenset[int]) -> dict[int, Guard]:
    """Return, for unreached lines, the innermost condition above them that was evaluated and not met.

    Lines without such a condition are absent: their function was not called, or it was left before.
    """
    found: dict[int, Guard] = {}
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.If | ast.While | ast.For) or node.lineno not in executed:
            continue
        for body, condition in _branches(node):
            first, last = body[0].lineno, body[-1].end_lineno or body[-1].lineno
            for line in lines:
                if first <= line <= last and (line not in found or found[line].line <= node.lineno):
                    found[line] = Guard(node.lineno, condition)
    return found


def _branches(node: ast.If | ast.While | ast.For) -> list[tuple[list[ast.stmt], str]]:
    if isinstance(node, ast.For):
        return [(node.body, f"for {ast.unparse(node.target)} in {ast.unparse(node.iter)}")]
    condition = ast.unparse(node.test)
    branches = [(node.body, condition)]
    if node.orelse and isinstance(node, ast.If):
        branches.append((node.orelse, f"not ({condition})"))
    return branches


def _ranges(
    file: str, side: str, lines: frozenset[int], found: Mapping[int, Guard], *, is_imported: bool = True
) -> list[UnreachedLines]:
    """Group lines that follow each other, and share a guard, into one entry."""
    conditions = {line: guard.condition for line, guard in found.items()}
    numbered = enumerate(sorted(lines))
    parts = []
    for (_, guard), group in groupby(numbered, lambda one: (one[1] - one[0], conditions.get(one[1], ""))):
        block = [line for _, line in group]
        parts.append(
            UnreachedLines(
                file=file,
                side=side,
                first_line=block[0],
                last_line=block[-1],
                guard=guard,
                is_imported=is_imported,
            )
        )
    return parts
