"""What the commands that make runs print: what is left out of a grid, and how the runs ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from exhausters.console import print_line
from exhausters.sweep.grid import Grid
from exhausters.sweep.record import DRAINED, LEFT_MARKED_FULL, RunRecord


def print_left_out(console: Console, grid: Grid) -> None:
    """Print a line per optional workload whose trace is not available."""
    for left_out in grid.left_out:
        print_line(console, f"left out: {left_out}")


def print_outcomes(console: Console, records: Sequence[RunRecord], out: Path, *, noun: str) -> None:
    """Print how many runs ended how, and each reason once, with how many of them it explains.

    Args:
        console: where to.
        records: the runs.
        out: the folder that holds them.
        noun: what a record is called: `cells` for a sweep, `runs` for pairs.
    """
    counts = Counter(record.result.outcome for record in records)
    counted = ", ".join(f"{count} {outcome}" for outcome, count in counts.most_common())
    console.print(f"{len(records)} {noun}: {counted}. Records: {out}", highlight=False, soft_wrap=True)
    marked = [record.cell.id for record in records if record.result.provenance.get(LEFT_MARKED_FULL)]
    if marked:
        print_line(console, f"left marked as full when idle: {len(marked)} {noun}, the first {marked[0]}")
    ends: dict[tuple[str, str, str], list[str]] = {}
    for record in records:
        if record.result.outcome != DRAINED:
            side = "" if record.round is None else f"{record.target}: "
            ends.setdefault((record.result.outcome, side, record.result.reason), []).append(record.cell.id)
    for (outcome, side, reason), cells in ends.items():
        where = cells[0] if len(cells) == 1 else f"{len(cells)} {noun}, the first {cells[0]}"
        print_line(console, f"{outcome}: {side}{where}: {reason}")
