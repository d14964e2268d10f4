"""What must be equal, beside the target's imported files, for a run to give the same exact results."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from functools import cache
from pathlib import Path

import exhausters
from exhausters.sweep.plan import PlannedRun
from exhausters.sweep.record import SCHEMA_VERSION
from exhausters.targets import PreparedTarget

# Raise when entries of the cache change their form.
CACHE_SCHEMA = 1
# What makes records: `sweep` and the layers below it that a run passes through (`pyproject.toml` has the
# layers). A change of what chooses, compares, stores or shows leaves folders and caches good for going on.
_PARTS = frozenset(
    {
        *("engine", "worker", "pressure", "observe", "oracles", "ranks", "scripted", "sweep"),
        *("targets", "workloads", "errors.py", "__init__.py"),
    }
)
# Cells are in the key as they are.
_GRIDS = ("sweep", "grids")


def cache_key(run: PlannedRun) -> str:
    """Return a digest of all that a run is given: cell, workload, options, environment, harness."""
    identity = {
        "cache_schema": CACHE_SCHEMA,
        "record_schema": SCHEMA_VERSION,
        "harness": harness_digest(),
        "engine": run.target.engine,
        "environment": [run.target.environment_key, _installed(run.target)],
        "cell": run.cell.to_json(),
        "workload": run.workload.digest,
        "forward_time": run.options.forward_time.name,
        "options": asdict(run.options),
        "clock": run.clock,
    }
    return hashlib.sha256(json.dumps(identity, sort_keys=True, default=repr).encode()).hexdigest()


@cache
def harness_digest() -> str:
    """Return a digest over the files that make records: other code may measure otherwise."""
    digest = hashlib.sha256(exhausters.__version__.encode())
    for name, path in harness_files().items():
        digest.update(name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def harness_files() -> dict[str, Path]:
    """Return the files that make records, by name below the package, sorted."""
    root = Path(exhausters.__file__).parent
    found = {path.relative_to(root).parts: path for path in sorted(root.rglob("*"))}
    return {
        "/".join(parts): path
        for parts, path in found.items()
        if path.suffix in (".py", ".toml", ".json") and parts[0] in _PARTS and parts[:2] != _GRIDS
    }


@cache
def _installed(target: PreparedTarget) -> str:
    """What is installed in the target's environment, dependencies that no pin names included."""
    listed = target.python.parent.parent / "installed.txt"
    return hashlib.sha256(listed.read_bytes()).hexdigest() if listed.is_file() else ""
