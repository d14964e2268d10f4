"""Which grid the asv suite runs, and the identity of what it measures."""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import asdict

from exhausters.sweep.grid import Grid, load_grid
from exhausters.sweep.record import SCHEMA_VERSION
from exhausters.sweep.run_options import RunOptions
from exhausters.workloads import parse_workload

__all__ = ["GRID_VARIABLE", "fix_grid_path", "grid_label", "suite_grid", "suite_version"]

GRID_VARIABLE = "EXHAUSTERS_ASV_GRID"
_VERSION_DIGITS = 16
_LABEL_DIGITS = 8


def suite_grid() -> Grid:
    """Return the grid of the suite: `quick`, or what `EXHAUSTERS_ASV_GRID` names."""
    return load_grid(os.environ.get(GRID_VARIABLE, "quick"))


def fix_grid_path() -> None:
    """Make the path of a grid's file absolute: asv's processes run in folders of their own."""
    text = os.environ.get(GRID_VARIABLE, "")
    if text.endswith(".toml"):
        os.environ[GRID_VARIABLE] = os.path.abspath(text)


def suite_version(grid: Grid, options: RunOptions | None = None) -> str:
    """Return what results must share to be compared; asv drops results of other versions.

    It covers everything that is given to a run, defaults included: cells with all their settings, the
    workloads' requests, the forward-time model with its prices, limits. Not the harness's own code: a change
    of what a metric means raises SCHEMA_VERSION.
    """
    workloads = sorted({cell.workload for cell in grid.cells})
    options = options or RunOptions()
    identity = {
        "schema": SCHEMA_VERSION,
        "grid": grid.digest,
        "workloads": [parse_workload(text).digest for text in workloads],
        "forward_time": options.forward_time.name,
        "options": asdict(options),
    }
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:_VERSION_DIGITS]


def grid_label(grid: Grid) -> str:
    """Return a name for files and folders; grids that measure different things have different ones."""
    name = re.sub(r"[^A-Za-z0-9._]+", "_", grid.name)
    return f"{name}-{suite_version(grid)[:_LABEL_DIGITS]}"
