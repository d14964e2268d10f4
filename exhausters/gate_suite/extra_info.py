"""What is written beside the times: the keys that `reports.load.pytest_benchmark` reads."""

from __future__ import annotations

import contextlib
from dataclasses import asdict
from typing import Any

from exhausters.errors import ExhaustersError
from exhausters.gate_suite.bench import DRAIN, Bench, MeasuredCell
from exhausters.gate_suite.clock import TIMER
from exhausters.sweep.cell import Cell, EngineSettings
from exhausters.sweep.grid import AXES
from exhausters.sweep.record import DRAINED, SCHEMA_VERSION

__all__ = ["EVERY_AXIS", "axes_of_cell", "axes_of_micro", "info_of_cell", "info_of_micro"]

# Names for `--benchmark-group-by=param:NAME`. pytest-benchmark ends with a KeyError where one benchmark of
# a session lacks the name, so each has all of them: those of a grid, then the sizes of micro-benchmarks.
EVERY_AXIS = ("phase", *AXES, "leaves", "tokens")
_ALL = "all"
_NO_MEANING = "-"


def axes_of_cell(cell: Cell, phase: str) -> dict[str, Any]:
    """Return the place of one phase of a cell on every axis; `-` where the axis has no meaning for it."""
    levels = {name: _ALL if value is None else value for name, value in asdict(cell.levels).items()}
    return _on_every_axis({"phase": phase, "workload": cell.workload, **levels, **asdict(cell.engine)})


def axes_of_micro(engine: EngineSettings, name: str, size: tuple[str, int]) -> dict[str, Any]:
    """Return the same for a benchmark without a grid, which has neither a workload nor levels."""
    axis, value = size
    return _on_every_axis({"phase": name, axis: value, **asdict(engine)})


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
        "axes": axes_of_cell(cell, phase),
        "levels": asdict(cell.levels),
        "engine": asdict(cell.engine),
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
    with contextlib.suppress(ExhaustersError):
        booted = {key: fact for key, fact in bench.host(engine).facts.items() if key != "pid"}
    return {
        **_info_of_target(bench),
        "timer": TIMER,
        "cell": f"micro/{name}/{axis}={value}",
        "axes": axes_of_micro(engine, name, size),
        "engine": asdict(engine),
        "outcome": "crashed" if reason else DRAINED,
        "reason": reason,
        "metrics": facts,
        "provenance": {"harness_schema": SCHEMA_VERSION, **booted},
    }


def _on_every_axis(values: dict[str, Any]) -> dict[str, Any]:
    return {axis: values.get(axis, _NO_MEANING) for axis in EVERY_AXIS}


def _info_of_target(bench: Bench) -> dict[str, Any]:
    try:
        target = bench.target
    except ExhaustersError:
        return {"target": bench.target_name, "target_version": None, "target_commit": None}
    return {"target": target.name, "target_version": target.version, "target_commit": target.commit}
