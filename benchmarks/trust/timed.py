"""Pairs of two builds that are judged as if something differed between them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pandas as pd

from exhausters.compare.sides import Side as Running
from exhausters.sweep.grid import Grid
from exhausters.sweep.store import sweep_writer
from exhausters.targets import PreparedTarget
from reports.explain.comparison import Comparison, compare
from reports.load.builds import Side, pick
from reports.load.load_results import load_results


@contextmanager
def two_sides(
    base: PreparedTarget, head: PreparedTarget, grid: Grid, folder: Path
) -> Iterator[tuple[Running, Running]]:
    """Open the folders `base` and `head` for records, as a comparison does."""
    with ExitStack() as stack:
        ours, theirs = (
            Running(
                target=target,
                writer=stack.enter_context(sweep_writer(folder / name, target=target, grid=grid)),
            )
            for name, target in (("base", base), ("head", head))
        )
        yield ours, theirs


def frames_in(folder: Path, base: str, head: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return what a folder of pairs measured of either build."""
    frame = load_results([folder]).frame
    return frame[frame["target"] == base], frame[frame["target"] == head]


def judge_rounds(folder: Path, base: str, head: str, rounds: range) -> Comparison:
    """Judge host time by some rounds of a folder of pairs alone."""
    results = load_results([folder])
    chosen = results.frame[results.frame["round"].isin(list(rounds))].reset_index(drop=True)
    some = replace(results, frame=chosen)
    sides = [pick(some, name) for name in (base, head)]
    return compare(*(Side(label=one.label, results=one.results) for one in sides))
