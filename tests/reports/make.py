"""Sweep folders on disk, made by hand, in the format that `exhausters sweep` writes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from exhausters.pressure.levels import PressureLevels
from exhausters.sweep.cell import Cell, EngineSettings
from exhausters.sweep.record import SCHEMA_VERSION

BASE, HEAD = "release:0.5.22", "release:0.5.23"
METRICS = {
    "steps_to_drain": 100,
    "output_tokens_per_second": 100.0,
    "retractions": 5000,
    "goodput_requests_per_second": 2.5,
    "mixed_steps": 3,
    "end_to_end_p50_seconds": 0.5,
    "scheduler_cpu_ms_per_step": 0.25,
}
PROVENANCE = {
    "sglang_version": "0.5.23",
    "python_version": "3.11.7",
    "torch_version": "2.13.0",
    "tree_core": "RustUnifiedTreeCore",
    "page_size": 16,
    "clock": "virtual",
    "forward_time_model": "linear/1",
    "workload_digest": "aec22fa2",
}

Change = Callable[[dict[str, Any]], dict[str, Any] | None]


def cells(
    workloads: Iterable[str] = ("shared_prefix", "agents"),
    pages: Iterable[int | None] = (None, 128, 64, 16),
    page_sizes: Iterable[int] = (1, 16),
) -> list[Cell]:
    return [
        Cell(
            workload=workload, levels=PressureLevels(leave_pages=left), engine=EngineSettings(page_size=size)
        )
        for workload in workloads
        for left in pages
        for size in page_sizes
    ]


def record(cell: Cell, target: str = BASE, **changes: Any) -> dict[str, Any]:
    """A record; `metrics` and `provenance` are merged into the usual ones, the rest replaces."""
    plain = {
        "schema": SCHEMA_VERSION,
        "cell": cell.id,
        "target": target,
        **cell.to_json(),
        "outcome": "drained",
        "reason": "",
        "decision_digest": "digest",
        "metrics": METRICS | changes.pop("metrics", {}),
        "provenance": PROVENANCE | {"page_size": cell.engine.page_size} | changes.pop("provenance", {}),
    }
    return plain | changes


def write_sweep(
    folder: Path,
    target: str = BASE,
    change: Change = lambda one: one,
    grid: Iterable[Cell] | None = None,
    **header: Any,
) -> Path:
    """Write a sweep; `change` edits each record, or drops it by returning None."""
    chosen = list(cells() if grid is None else grid)
    records = [changed for cell in chosen if (changed := change(record(cell, target))) is not None]
    return write_records(folder, records, target=target, cells=len(chosen), **header)


def write_records(folder: Path, records: Iterable[Mapping[str, Any]], **header: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    target = header.get("target") or BASE
    usual = {
        "schema": SCHEMA_VERSION,
        "harness_version": "0.1.0",
        "target_version": target.removeprefix("release:"),
        "target_commit": None,
        "target_dirty": False,
        "grid": "mine",
        "grid_digest": "ba4b53b7",
        "started": "2026-11-22T19:26:11+00:00",
        "complete": True,
    }
    (folder / "sweep.json").write_text(json.dumps(usual | header))
    (folder / "records.jsonl").write_text("".join(json.dumps(one) + "\n" for one in records))
    return folder


def write_pairs(
    folder: Path,
    grid: Iterable[Cell],
    *,
    pairs: int,
    slowdown: Callable[[Cell], float] = lambda cell: 1.0,
    noise: float = 0.03,
    seed: int = 0,
    orders: str = "ABBA",
    change: Change = lambda one: one,
) -> Path:
    """Write interleaved pairs of `scheduler_cpu_ms_per_step` with log-normal noise on each run."""
    draw = np.random.default_rng(seed)
    lines = []
    chosen = list(grid)
    for cell in chosen:
        for number in range(pairs):
            order = "AB" if orders[(2 * number) % len(orders)] == "A" else "BA"
            for target, factor in ((BASE, 1.0), (HEAD, slowdown(cell))):
                seconds = 0.25 * factor * float(np.exp(noise * draw.normal()))
                one = record(cell, target, round=number, order=order)
                one["metrics"] = {"scheduler_cpu_ms_per_step": seconds}
                lines.append(change(one))
    return write_records(
        folder,
        [line for line in lines if line is not None],
        target=None,
        target_version=None,
        targets={BASE: {"version": "0.5.22"}, HEAD: {"version": "0.5.23"}},
        cells=len(chosen),
    )
