"""How much code is how many percent of a step, on this machine."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from exhausters.sweep.cell import Cell
from exhausters.sweep.execute import LocalExecutor
from exhausters.sweep.grid import Grid
from exhausters.sweep.plan import plan_sweep
from exhausters.sweep.run_options import COUNTED, TIMED, RunOptions
from exhausters.targets import PreparedTarget

# Sizes that a plant can name, percent.
PERCENTS = (1, 2, 5, 10, 20)
_REPEATS = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What a step of the release costs over the cells of a grid, and what code costs here.

    Attributes:
        calls_per_step: Python calls, median over the cells.
        cpu_us_per_step: CPU time in microseconds, likewise.
        unit_call_us, unit_pass_us: a Python call with an empty loop, and each turn of the loop.
        summed_us: each number that `sum(range(n))` sums.
    """

    calls_per_step: float
    cpu_us_per_step: float
    unit_call_us: float
    unit_pass_us: float
    summed_us: float

    def values(self) -> dict[str, int]:
        """Return the numbers that planted code names."""
        per_call = self.cpu_us_per_step / self.calls_per_step
        return {
            "UNIT": max(1, round((per_call - self.unit_call_us) / self.unit_pass_us)),
            **{f"CALLS_{n}": max(1, round(self.calls_per_step * n / 100)) for n in PERCENTS},
            **{f"LOOP_{n}": round(self.cpu_us_per_step * n / 100 / self.summed_us) for n in PERCENTS},
        }


def calibrate(release: PreparedTarget, cells: Sequence[Cell], *, keep: Path) -> Calibration:
    """Return the calibration that `keep` holds, or measure it and keep it there."""
    if keep.exists():
        return Calibration(**json.loads(keep.read_text()))
    grid = Grid(name="calibration", cells=tuple(cells))
    # Timed twice: what a worker makes once would be part of a first run.
    options = RunOptions(passes=(TIMED, TIMED, COUNTED))
    tasks = plan_sweep(release, grid, workers=1, options=options)
    metrics = [record.result.metrics for record in LocalExecutor(workers=1).run(tasks)]
    calls = statistics.median(float(one["python_calls_per_step"] or 0) for one in metrics)
    cpu = statistics.median(float(one["scheduler_cpu_ms_per_step"] or 0) for one in metrics)
    empty, turns = _microseconds(_call_empty, 1_000) / 1_000, _microseconds(_turn, 100_000) / 100_000
    found = Calibration(
        calls_per_step=calls,
        cpu_us_per_step=1e3 * cpu,
        unit_call_us=empty,
        unit_pass_us=turns,
        summed_us=_microseconds(_sum, 100_000) / 100_000,
    )
    keep.write_text(json.dumps(asdict(found), indent=1) + "\n")
    return found


def _microseconds(act: Callable[[int], object], count: int) -> float:
    """The median of a few: what else this machine does slows the scheduler as well."""
    found = []
    for _ in range(_REPEATS):
        started = time.thread_time_ns()
        act(count)
        found.append((time.thread_time_ns() - started) / 1e3)
    return statistics.median(found)


def _unit() -> None:
    for _ in range(0):
        pass


def _call_empty(count: int) -> None:
    for _ in range(count):
        _unit()


def _turn(count: int) -> None:
    for _ in range(count):
        pass


def _sum(count: int) -> int:
    return sum(range(count))
