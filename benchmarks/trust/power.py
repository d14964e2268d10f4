"""How large a change of CPU time must be to be found, by pairs."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.trust.calibrate import PERCENTS
from benchmarks.trust.journal import Journal
from benchmarks.trust.other_tools import asv_says, pytest_benchmark_says, samples_of
from benchmarks.trust.timed import frames_in, judge_rounds, two_sides
from benchmarks.trust.trees import Tree
from exhausters.compare import host_time
from exhausters.observe.smallest_effects import CPU_TIME
from exhausters.progress import ShownProgress
from exhausters.sweep.cell import Cell
from exhausters.sweep.execute import LocalExecutor
from exhausters.sweep.grid import Grid
from exhausters.targets import PreparedTarget
from reports.detect.pairs import pair_up

# Each boots both builds anew; its pairs are split into blocks that are judged one by one.
SESSIONS, SESSION_PAIRS = 3, 20
BLOCKS = (10, 20)
FILE = "sglang/srt/managers/scheduler.py"
CODE = """
_planted_run = Scheduler.run_batch
def _with_loop(self, *args, **kwargs):
    sum(range($LOOP_{percent}))
    return _planted_run(self, *args, **kwargs)
Scheduler.run_batch = _with_loop
"""


def measure_power(
    *,
    release: PreparedTarget,
    tree: Tree,
    cells: Sequence[Cell],
    values: Mapping[str, int],
    folder: Path,
    progress: ShownProgress,
    say: Callable[[str], None],
) -> None:
    """Time each size of change in several sessions, and judge each block of pairs by itself."""
    journal = Journal(folder / "power.jsonl")
    for session in range(SESSIONS):
        for percent in PERCENTS:
            key = f"{percent}/{session}"
            if key in journal:
                continue
            with tree.planted(FILE, CODE.format(percent=percent), values) as head:
                found = _time_once(release, head, cells, folder / "power", progress)
            journal.add(key, {"percent": percent, **found})
            say(f"power, {percent} %, session {session + 1}: {found['achieved']:+.1%} more CPU time")


def _time_once(
    release: PreparedTarget,
    head: PreparedTarget,
    cells: Sequence[Cell],
    folder: Path,
    progress: ShownProgress,
) -> dict[str, object]:
    shutil.rmtree(folder, ignore_errors=True)
    pairs = folder / "pairs"
    grid = Grid(name="power", cells=tuple(cells))
    # One task at a time on both workers, which are booted for it.
    with LocalExecutor(workers=1) as executor, two_sides(release, head, grid, folder) as sides:
        # By its module: asv takes any name `time_…` below its benchmark folder for a benchmark.
        host_time.time_pairs(
            *sides,
            grid.cells,
            rounds=SESSION_PAIRS,
            folder=pairs,
            executor=executor,
            undecided=lambda _: (),
            progress=progress,
        )
    frames = frames_in(pairs, release.name, head.name)
    ratios = pair_up(*frames)
    achieved = float(np.exp(ratios.loc[ratios["metric"] == CPU_TIME, "log_ratio"].median()) - 1)
    found: dict[str, object] = {"achieved": achieved}
    for size in BLOCKS:
        starts = range(0, SESSION_PAIRS - size + 1, size)
        blocks = [range(start, start + size) for start in starts]
        found[f"found_{size}"] = [_verdict(pairs, release.name, head.name, block) for block in blocks]
        some = [
            samples_of(*(frame[frame["round"].isin(list(block))] for frame in frames)) for block in blocks
        ]
        found[f"asv_{size}"] = [asv_says(one) for one in some]
        found[f"pytest_benchmark_{size}"] = [pytest_benchmark_says(one) for one in some]
    shutil.rmtree(folder)
    return found


def _verdict(folder: Path, base: str, head: str, rounds: range) -> str:
    effects = judge_rounds(folder, base, head, rounds).effects
    return next(one.verdict for one in effects if one.metric == CPU_TIME)
