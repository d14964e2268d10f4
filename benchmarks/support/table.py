"""The tables of docs/support.md: features by releases, and each release's combinations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from exhausters.sweep.cell import Cell
from exhausters.sweep.grid import Grid
from exhausters.sweep.read_records import StoredRecords
from exhausters.sweep.record import DRAINED, UNSUPPORTED, CellResult

WORKS, REFUSED, FAILS, NOT_APPLICABLE = "works", "refused", "fails", "—"
_COMBINATIONS = ("loop", "page", "core")


class Reasons:
    """Sentences under the tables, each once, by number."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def number(self, reason: str) -> int:
        """Return the number of a reason; the first time it is given one."""
        return self._numbers.setdefault(reason, len(self._numbers) + 1)

    def lines(self) -> list[str]:
        """Every reason, as a Markdown list."""
        return [f"{number}. {reason}" for reason, number in self._numbers.items()]


def support_tables(found: Mapping[str, StoredRecords], grid: Grid) -> str:
    """Return the tables as Markdown.

    Args:
        found: a complete sweep of the grid for each target.
        grid: its parts with a title are the features.
    """
    reasons = Reasons()
    results = {
        target: {one.cell.id: one.result for one in stored.records} for target, stored in found.items()
    }
    lines = _overview(results, grid, reasons)
    for target, of_target in results.items():
        lines += ["", f"### {short(target)}", "", *_combinations(of_target, grid, reasons)]
    return "\n".join([*lines, "", "### Reasons", "", *(reasons.lines() or ["None: all works."])])


def short(target: str) -> str:
    """Return a target as a heading: a release by its number."""
    return target.removeprefix("release:")


def _overview(results: Mapping[str, Mapping[str, CellResult]], grid: Grid, reasons: Reasons) -> list[str]:
    lines = [
        f"| feature | {' | '.join(short(target) for target in results)} |",
        f"|---|{'---|' * len(results)}",
    ]
    for title, ids in grid.titles:
        entries = [_entry([of_target[one] for one in ids], reasons) for of_target in results.values()]
        lines.append(f"| {title} | {' | '.join(entries)} |")
    return lines


def _combinations(results: Mapping[str, CellResult], grid: Grid, reasons: Reasons) -> list[str]:
    """One row per feature, one column per loop, page size and tree core that the grid has."""
    cells = {cell.id: cell for cell in grid.cells}
    columns = sorted({_combination(cell) for cell in grid.cells})
    heads = [f"{loop}, {page}, {core}" for loop, page, core in columns]
    lines = [f"| feature | {' | '.join(heads)} |", f"|---|{'---|' * len(columns)}"]
    for title, ids in grid.titles:
        entries = []
        for column in columns:
            some = [results[one] for one in ids if _combination(cells[one]) == column]
            entries.append(_entry(some, reasons) if some else NOT_APPLICABLE)
        lines.append(f"| {title} | {' | '.join(entries)} |")
    return lines


def _combination(cell: Cell) -> tuple[str, str, str]:
    engine = cell.engine
    loop = "overlap" if engine.overlap else "normal"
    return loop, f"page {engine.page_size}", f"{engine.tree_core} core"


def _entry(results: Sequence[CellResult], reasons: Reasons) -> str:
    """`works`, or how many do, and the numbers of the reasons why others do not."""
    works = sum(one.outcome == DRAINED for one in results)
    if works == len(results):
        return WORKS
    others = [one for one in results if one.outcome != DRAINED]
    numbers = sorted({reasons.number(_reason(one)) for one in others})
    word = REFUSED if all(one.outcome == UNSUPPORTED for one in others) else FAILS
    notes = ", ".join(map(str, numbers))
    part = f"{works} of {len(results)} work; " if works else ""
    return f"{part}{word} ({notes})"


def _reason(result: CellResult) -> str:
    if result.outcome == UNSUPPORTED:
        return result.reason
    return f"{result.outcome}: {result.reason}"
