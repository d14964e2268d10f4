"""Every cell of the grid, timed phase by phase: four groups that share the rounds of a cell.

What is timed is CPU time of the scheduler's thread within the phase, summed over all steps of a run; the
engine is reset before each round, and neither that, nor the warm-up, nor any process start is in it. A cell
that did not drain has its outcome in `extra_info`, and its test fails.
"""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from exhausters.gate_suite.benchmark_info import axes_of_cell, info_of_cell
from exhausters.gate_suite.cpu_timer import scheduler_cpu_seconds, spend
from exhausters.gate_suite.measured_cells import DRAIN, EVICT, FORM_BATCH, PIN, Bench


@pytest.mark.benchmark(group="drain", timer=scheduler_cpu_seconds)
def test_drain(benchmark: Any, bench: Bench, cell_id: str, rounds: int, accepted: tuple[str, ...]) -> None:
    """All phases of all steps until the last request has finished; carries all metrics of the cell."""
    time_phase(benchmark, bench, cell_id, DRAIN, rounds, accepted)


@pytest.mark.benchmark(group="form_batch", timer=scheduler_cpu_seconds)
def test_form_batch(
    benchmark: Any, bench: Bench, cell_id: str, rounds: int, accepted: tuple[str, ...]
) -> None:
    """Forming batches, without the evictions and retractions in it."""
    time_phase(benchmark, bench, cell_id, FORM_BATCH, rounds, accepted)


@pytest.mark.benchmark(group="evict", timer=scheduler_cpu_seconds)
def test_evict(benchmark: Any, bench: Bench, cell_id: str, rounds: int, accepted: tuple[str, ...]) -> None:
    """Evicting; one nanosecond where nothing was evicted."""
    time_phase(benchmark, bench, cell_id, EVICT, rounds, accepted)


@pytest.mark.benchmark(group="pin", timer=scheduler_cpu_seconds)
def test_pin(
    benchmark: Any, bench: Bench, pinned_cell_id: str, rounds: int, accepted: tuple[str, ...]
) -> None:
    """The exhauster of lock references, in cells that limit them."""
    time_phase(benchmark, bench, pinned_cell_id, PIN, rounds, accepted)


def time_phase(
    benchmark: Any, bench: Bench, cell_id: str, phase: str, rounds: int, accepted: tuple[str, ...]
) -> None:
    """Time one phase; whichever phase comes first runs the rounds, the others read their part of them."""
    measured = bench.measured(cell_id)
    index = itertools.count()
    # pytest-benchmark would write the cell's id; the axes are what one groups by.
    benchmark.params = axes_of_cell(bench.grid, measured.cell, phase)
    benchmark.pedantic(lambda: spend(measured.seconds(phase, next(index))), rounds=rounds)
    benchmark.extra_info.update(info_of_cell(bench, measured, phase))
    if measured.result.outcome not in accepted:
        pytest.fail(f"{measured.result.outcome}: {measured.result.reason}", pytrace=False)
