"""What is written next to the times: the keys that `reports.load.pytest_benchmark` reads."""

from __future__ import annotations

import contextlib
from typing import Any

from exhausters.errors import ExhaustersError
from exhausters.gate_suite.cpu_timer import TIMER
from exhausters.gate_suite.measured_cells import DRAIN, Bench, MeasuredCell
from exhausters.sweep.cell import Cell, EngineSettings
from exhausters.sweep.execute import boot_facts
from exhausters.sweep.grid import Grid, axis_names
from exhausters.sweep.record import DRAINED, SCHEMA_VERSION

__all__ = ["axes_of_cell", "axes_of_micro", "every_axis", "info_of_cell", "info_of_micro"]

_NO_MEANING = "-"


def every_axis(grid: Grid) -> tuple[str, ...]:
    """Return the names for `--benchmark-group-by=param:NAME` of a session.

    pytest-benchmark ends with a KeyError where one benchmark of a session lacks the name, so each has all of
    them: those of a grid, with the free ones of this grid, then the sizes of micro-benchmarks.
    """
    return ("phase", *axis_names(), *grid.free_axes, "leaves", "tokens")


def axes_of_cell(grid: Grid, cell: Cell, phase: str) -> dict[str, Any]:
    """Return the place of one phase of a cell on every axis; `-` where the axis has no meaning for it."""
    levels = {**cell.levels.as_axes(), "held": cell.levels.held}
    values = {"phase": phase, "workload": cell.workload, **levels, **cell.engine.to_json()}
    return _on_every_axis(grid, values)


def axes_of_micro(grid: Grid, engine: EngineSettings, name: str, size: tuple[str, int]) -> dict[str, Any]:
    """Return the same for a benchmark without a grid, which has neither a workload nor levels."""
    axis, value = size
    return _on_every_axis(grid, {"phase": name, axis: value, **engine.to_json()})


def info_of_cell(bench: Bench, measured: MeasuredCell, phase: str) -> dict[str, Any]:
    """Return the extra information of one phase of one cell.

    All metrics are with the phase `drain`; the others are further times of the same runs, and carry the
    outcome and the digest only, so that nothing is reported twice.
    """
    cell, result = measured.cell, measured.result
    is_drain = phase == DRAIN
    return {
        **_info_of_target(bench),
        "timer": TIMER,
        "cell": cell.id if is_drain else f"{cell.id}#{phase}",
        "axes": axes_of_cell(bench.grid, cell, phase),
        "levels": cell.levels.to_json(),
        "engine": cell.engine.to_json(),
        "outcome": result.outcome,
        "reason": result.reason,
        "decision_digest": result.log.digest,
        "metrics": measured.metrics() if is_drain else {},
        "samples": measured.samples() if is_drain else {},
        "provenance": {
            "harness_schema": SCHEMA_VERSION,
            "grid": bench.grid.name,
            "grid_digest": bench.grid.digest,
            **measured.facts,
            **result.provenance,
        },
    }


def info_of_micro(
    bench: Bench, engine: EngineSettings, name: str, size: tuple[str, int], facts: dict[str, int], reason: str
) -> dict[str, Any]:
    """Return the extra information of a benchmark without a grid; a reason says that it failed."""
    axis, value = size
    booted: dict[str, Any] = {}
    with contextlib.suppress(ExhaustersError), bench.worker(engine) as host:
        booted = boot_facts(host)
    return {
        **_info_of_target(bench),
        "timer": TIMER,
        "cell": f"micro/{name}/{axis}={value}",
        "axes": axes_of_micro(bench.grid, engine, name, size),
        "engine": engine.to_json(),
        "outcome": "crashed" if reason else DRAINED,
        "reason": reason,
        "metrics": facts,
        "provenance": {"harness_schema": SCHEMA_VERSION, **booted},
    }


def _on_every_axis(grid: Grid, values: dict[str, Any]) -> dict[str, Any]:
    return {axis: values.get(axis, _NO_MEANING) for axis in every_axis(grid)}


def _info_of_target(bench: Bench) -> dict[str, Any]:
    try:
        target = bench.target
    except ExhaustersError:
        return {"target": bench.target_name, "target_version": None, "target_commit": None}
    return {"target": target.name, "target_version": target.version, "target_commit": target.commit}
