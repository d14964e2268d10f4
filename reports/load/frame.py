"""Runs as one tidy pandas frame: one row for each run and metric, and one for each run's outcome.

| column | type | meaning |
|---|---|---|
| run | int64 | number of the run in this frame |
| target, version, commit, machine, suite, session, cell | category | as in `Run` |
| date, committed, measured | datetime64[ns, UTC] | as in `Run` |
| place | Int64 | of the commit in a repository's order, NA without one (`reports.load.commits`) |
| one per axis, free ones too | by the axis: Int64, Float64, boolean, category | NA in a level: all was left |
| metric, kind, unit, better, meaning | category | the metric; `outcome` in rows that say how a run ended |
| smallest_effect | float64 | from the registry |
| value | float64 | NaN where the run has no such value |
| samples | object | tuple of floats, empty where there was one measurement |
| round | Int64 | number of the pair, NA for a run on its own |
| boot | Int64 | number of the pair of processes, NA where that is not known |
| order | category | `AB`, `BA` or NA |
| outcome, reason, decision_digest, log_path | category | of the run |
| harness_schema, workload_digest, … (`PROVENANCE`) | category | what the numbers depend on |
| provenance | object | all of it, a mapping shared by the rows of a run |
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any, get_type_hints

import numpy as np
import pandas as pd

from exhausters.pressure import level_names
from exhausters.sweep.cell import EngineSettings
from exhausters.sweep.free_axes import is_free_axis
from exhausters.sweep.grid import axis_names
from reports.load.measurements import Run, Session, Skipped
from reports.vocabulary import OUTCOME

_TEXT, _INTEGER, _NUMBER, _BOOLEAN = "category", "Int64", "Float64", "boolean"


def axis_types() -> dict[str, str]:
    """Return the type of the column of each axis that every grid can have, in the grid's order."""
    hints = get_type_hints(EngineSettings)
    by_type = {int: _INTEGER, bool: _BOOLEAN}
    types = {field.name: by_type.get(hints[field.name], _TEXT) for field in fields(EngineSettings)}
    types |= dict.fromkeys(level_names(), _INTEGER) | {"held": _BOOLEAN, "workload": _TEXT}
    return {axis: types[axis] for axis in axis_names()}


# Provenance that decides whether two results can be compared (see reports/detect/comparable.py).
PROVENANCE = (
    "harness_schema",
    "harness_version",
    "grid_digest",
    "workload_digest",
    "forward_time_model",
    "clock",
    "tree_core",
    "page_size",
    "python_version",
    "torch_version",
)
# In the frame they carry a prefix: an axis has the same name as what became of it.
PROVENANCE_COLUMNS = tuple(f"actual_{n}" if n in axis_types() else n for n in PROVENANCE)
_RUN_TEXTS = ("target", "version", "commit", "machine", "suite", "session", "cell")
_RUN_DATES = ("date", "committed", "measured")
_OUTCOME_TEXTS = ("order", "outcome", "reason", "decision_digest", "log_path")


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """What was loaded.

    Attributes:
        frame: the tidy frame described above.
        sessions: the folders and files it comes from.
        skipped: what was found there and not loaded, with the reason.
        axes: names of the axis columns: those of a grid, then parameters only a suite knows.
    """

    frame: pd.DataFrame
    sessions: tuple[Session, ...]
    skipped: tuple[Skipped, ...]
    axes: tuple[str, ...]

    def select(self, rows: pd.Series[bool]) -> Results:
        """Return the same results with fewer rows."""
        return Results(frame=self.frame[rows], sessions=self.sessions, skipped=self.skipped, axes=self.axes)


def results_of(runs: Sequence[Run], sessions: Iterable[Session], skipped: Iterable[Skipped]) -> Results:
    """Return runs as `Results`; the rows keep the order of the runs."""
    known = axis_types()
    extra = dict.fromkeys(name for run in runs for name in run.axes if name not in known)
    axes = (*known, *extra)
    return Results(frame=_frame(runs, axes), sessions=tuple(sessions), skipped=tuple(skipped), axes=axes)


def _frame(runs: Sequence[Run], axes: Sequence[str]) -> pd.DataFrame:
    per_run = pd.DataFrame({"run": np.arange(len(runs), dtype=np.int64)})
    for name in _RUN_TEXTS:
        per_run[name] = _texts(getattr(run, name) for run in runs)
    for name in _RUN_DATES:
        dates = [getattr(run, name) for run in runs]
        per_run[name] = pd.to_datetime(pd.Series(dates, dtype=object), utc=True)
    per_run["place"] = pd.array([None] * len(runs), dtype="Int64")
    for axis in axes:
        per_run[axis] = _axis(runs, axis)
    per_run["round"] = pd.array([run.round for run in runs], dtype="Int64")
    per_run["boot"] = pd.array([run.boot for run in runs], dtype="Int64")
    for name in _OUTCOME_TEXTS:
        per_run[name] = _texts(getattr(run, name) for run in runs)
    for name, column in zip(PROVENANCE, PROVENANCE_COLUMNS, strict=True):
        per_run[column] = _texts(run.provenance.get(name) for run in runs)
    provenance = np.empty(len(runs), dtype=object)
    provenance[:] = [run.provenance for run in runs]
    per_run["provenance"] = provenance

    counts = [1 + len(run.readings) for run in runs]
    rows = per_run.loc[np.repeat(np.arange(len(runs)), counts)].reset_index(drop=True)
    return rows.assign(**_readings(runs))


def _texts(values: Iterable[object]) -> pd.Categorical:
    return pd.Categorical([None if value is None else str(value) for value in values])


def _axis(runs: Sequence[Run], axis: str) -> Any:
    values: list[Any] = [run.axes.get(axis) for run in runs]
    kind = _free_type(values) if is_free_axis(axis) else axis_types().get(axis, _TEXT)
    # Spelled out: pandas knows the type of an array by the literal.
    if kind == _INTEGER:
        return pd.array(values, dtype="Int64")
    if kind == _NUMBER:
        return pd.array(values, dtype="Float64")
    return pd.array(values, dtype="boolean") if kind == _BOOLEAN else _texts(values)


def _free_type(values: Sequence[object]) -> str:
    """Type of the column of a free axis: by its values, since it is SGLang that knows what it takes."""
    found = {type(value) for value in values if value is not None}
    if found in ({float}, {int, float}):
        return _NUMBER
    return {int: _INTEGER, bool: _BOOLEAN}.get(found.pop(), _TEXT) if len(found) == 1 else _TEXT


def _readings(runs: Sequence[Run]) -> dict[str, Any]:
    names: list[str] = []
    kinds: list[str] = []
    units: list[str] = []
    directions: list[str] = []
    meanings: list[str] = []
    effects: list[float] = []
    values: list[float] = []
    samples: list[tuple[float, ...]] = []
    for run in runs:
        names.append(OUTCOME)
        kinds.append(OUTCOME)
        units.append("")
        directions.append("none")
        meanings.append("")
        effects.append(0.0)
        values.append(np.nan)
        samples.append(())
        for reading in run.readings:
            metric = reading.metric
            names.append(metric.name)
            kinds.append(metric.kind)
            units.append(metric.unit)
            directions.append(metric.better)
            meanings.append(metric.meaning)
            effects.append(metric.smallest_effect)
            values.append(np.nan if reading.value is None else float(reading.value))
            samples.append(reading.samples)
    packed = np.empty(len(samples), dtype=object)
    packed[:] = samples
    return {
        "metric": pd.Categorical(names),
        "kind": pd.Categorical(kinds),
        "unit": pd.Categorical(units),
        "better": pd.Categorical(directions),
        "meaning": pd.Categorical(meanings),
        "smallest_effect": np.asarray(effects, dtype=np.float64),
        "value": np.asarray(values, dtype=np.float64),
        "samples": packed,
    }
