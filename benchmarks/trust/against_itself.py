"""A release against a copy of itself: every alarm is a false one."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scipy.stats import binomtest

from benchmarks.trust.answers import compare_folder
from benchmarks.trust.cpu_load import cores_busy
from benchmarks.trust.journal import Journal
from benchmarks.trust.other_tools import asv_says, pytest_benchmark_says, samples_of
from benchmarks.trust.timed import frames_in, two_sides
from exhausters.cli.compare_reports import undecided_in
from exhausters.compare import host_time
from exhausters.compare.sides import Side, side_by_side
from exhausters.observe.metrics import HOST
from exhausters.progress import ShownProgress
from exhausters.sweep.cell import Cell
from exhausters.sweep.execute import Executor, LocalExecutor
from exhausters.sweep.grid import Grid
from exhausters.sweep.plan import CELL_TIMEOUT_SECONDS
from exhausters.sweep.run_options import COUNTED, DECIDE
from exhausters.targets import PreparedTarget
from reports.vocabulary import BETTER, CHANGED, NEUTRAL, SAME, TRADE_OFF, UNDECIDED, WORSE

PAIRS = 10
# Under load a comparison takes all cores for minutes.
LOAD_EVERY = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarms:
    """How often something that was the same was called different, with its 95 % interval."""

    alarms: int
    comparisons: int

    @property
    def interval(self) -> tuple[float, float]:
        """Clopper and Pearson's interval of the share."""
        found = binomtest(self.alarms, self.comparisons).proportion_ci(0.95, method="exact")
        return float(found.low), float(found.high)


def loads(count: int, seed: int) -> tuple[bool, ...]:
    """Return for each comparison whether it runs under load: one in five, in the seed's order."""
    order = [number % LOAD_EVERY == 0 for number in range(count)]
    random.Random(seed).shuffle(order)
    return tuple(order)


def compare_with_itself(
    count: int,
    seed: int,
    *,
    release: PreparedTarget,
    copy: PreparedTarget,
    cells: Sequence[Cell],
    folder: Path,
    progress: ShownProgress,
    say: Callable[[str], None],
) -> None:
    """Compare a release with a copy of it `count` times; those that are done are not run again.

    Each boots both builds anew, as `compare` does: times differ from process to process (where memory lies,
    how sets are ordered), so that comparisons that shared their workers would share their luck.
    """
    journal = Journal(folder / "against_itself.jsonl")
    grid = Grid(name="against itself", cells=tuple(cells))
    for number, is_loaded in enumerate(loads(count, seed)):
        if str(number) in journal:
            continue
        started, place = time.monotonic(), folder / "against_itself"
        with LocalExecutor(workers=2) as executor:
            found = _compare_once(release, copy, grid, place, executor, progress, is_loaded=is_loaded)
        journal.add(str(number), {"load": is_loaded, **found})
        shutil.rmtree(place)
        say(
            f"against itself, {number + 1} of {count}{', under load' if is_loaded else ''}: "
            f"{found['verdict']} ({time.monotonic() - started:.0f} s)"
        )


def _compare_once(
    release: PreparedTarget,
    copy: PreparedTarget,
    grid: Grid,
    folder: Path,
    executor: Executor,
    progress: ShownProgress,
    *,
    is_loaded: bool,
) -> dict[str, Any]:
    shutil.rmtree(folder, ignore_errors=True)
    with two_sides(release, copy, grid, folder) as sides:
        _run_both(sides, grid, DECIDE, executor)
        # From here on both builds are booted: a boot under load takes minutes and measures nothing.
        with cores_busy(is_wanted=is_loaded):
            _run_both(sides, grid, COUNTED, executor)
            for side in sides:
                side.writer.finish()
            # As `compare` takes them where something differs; here nothing does. Of the last cell alone,
            # since each takes twenty runs and more, and comparisons are what is counted.
            # By its module: asv takes any name `time_…` below its benchmark folder for a benchmark.
            host_time.time_pairs(
                *sides,
                grid.cells[-1:],
                rounds=PAIRS,
                folder=folder / "pairs",
                executor=executor,
                undecided=undecided_in,
                progress=progress,
            )
    comparison = compare_folder(folder, swapped=False, reach=None)
    rows = comparison.verdicts
    exact = rows[(rows["kind"] != HOST) & ~rows["verdict"].isin([SAME])]
    host = rows[(rows["kind"] == HOST) & rows["pairs"].notna()]
    samples = samples_of(*frames_in(folder / "pairs", release.name, copy.name))
    answer = comparison.decision
    return {
        "verdict": answer.verdict,
        "sentence": answer.sentence,
        "exact_alarms": len(exact),
        "host_alarm": answer.verdict in (WORSE, BETTER, TRADE_OFF),
        "cell_tests": len(host),
        "cell_alarms": int(host["verdict"].isin([WORSE, BETTER, CHANGED]).sum()),
        "pairs": int(host["pairs"].max()),
        "asv": asv_says(samples),
        "pytest_benchmark": pytest_benchmark_says(samples),
    }


def _run_both(sides: tuple[Side, Side], grid: Grid, name: str, executor: Executor) -> None:
    """One pass over all cells on both builds, side by side."""
    known = {side.target.name: side for side in sides}
    tasks = side_by_side(sides, grid.cells, passes=(name,), timeout_seconds=CELL_TIMEOUT_SECONDS)
    with closing(executor.run(tasks)) as ended:
        for record in ended:
            known[record.target].keep(record)


def alarms(journal: Sequence[dict[str, Any]], name: str, *, load: bool | None = None) -> Alarms:
    """Count alarms: `exact_alarms`, `host_alarm`, `asv` or `pytest_benchmark`; of either load, or of both."""
    chosen = [one for one in journal if load is None or one["load"] == load]
    return Alarms(
        alarms=sum(one[name] not in (0, False, SAME, NEUTRAL, UNDECIDED) for one in chosen),
        comparisons=len(chosen),
    )
