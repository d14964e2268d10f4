"""The classes that asv discovers, made from the registry of metrics and the suite's grid.

asv finds benchmarks by their names (`track_…`), takes the axes from `params`, and copies attributes of the
functions (`unit`, `kind`, `better`, …) to benchmarks.json. A value is

* a number, where the cell drained;
* NaN (asv: not applicable) where it drained but has no such value: no mean without an event;
* null (asv: failed) where it did not drain: `outcomes.Outcomes.track_outcome` says how it ended, and the
  commit's folder in `.asv/records/` why. A number of a run that was cut short would compare as an
  improvement.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from exhausters.asv_suite.axes import axes_of, cells_by_values
from exhausters.asv_suite.digest import digest_number
from exhausters.asv_suite.measure import CellOutcome, measure_commit
from exhausters.asv_suite.reading import READS_SWEEP
from exhausters.asv_suite.subjects import metrics_of
from exhausters.asv_suite.suite_grid import suite_grid, suite_version
from exhausters.observe.metrics import DECISION, HIGHER, HOST, LOWER, NONE, Metric
from exhausters.sweep.cell import Cell
from exhausters.sweep.record import DRAINED, OUTCOMES

__all__ = ["outcome_suite", "subject_suite"]

Cells = Mapping[str, CellOutcome]
Track = Callable[..., Any]


def subject_suite(name: str, *, subject: str, module: str) -> type:
    """Return the class `name` that tracks every metric of `subject`."""
    return _suite(name, module, [_track_metric(metric) for metric in metrics_of(subject)])


def outcome_suite(name: str, *, module: str) -> type:
    """Return the class `name` that tracks how each cell ended and what it decided."""
    return _suite(name, module, [_track_outcome(), _track_decision_log()])


def _suite(name: str, module: str, tracks: list[Track]) -> type:
    axes = axes_of(suite_grid())
    members: dict[str, Any] = {track.__name__: track for track in tracks}
    members |= {
        "__module__": module,
        "params": [list(values) for values in axes.values()],
        "param_names": list(axes),
        # The same function in every class: asv runs it once per commit for all of them.
        "setup_cache": staticmethod(measure_commit),
        "version": _version(),
    }
    return type(name, (), members)


def _track_metric(metric: Metric) -> Track:
    def track(self: object, cells: Cells, *values: Any) -> Any:
        found = _cell_of(cells, values)
        if found.outcome != DRAINED:
            return None
        value = found.metrics.get(metric.name)
        if value is None:
            return math.nan
        # asv keeps samples in this form; further rounds add to them.
        return {"samples": [value], "number": 1} if metric.kind == HOST else value

    return _described(
        track,
        name=f"track_{metric.name}",
        unit=metric.unit,
        kind=metric.kind,
        better=metric.better,
        smallest_effect=metric.smallest_effect,
        pretty_name=f"{metric.name}: {metric.meaning}",
    )


def _track_outcome() -> Track:
    def track(self: object, cells: Cells, *values: Any) -> int:
        found = _cell_of(cells, values)
        if found.reason:
            print(f"{found.outcome}: {found.reason}")
        return OUTCOMES.index(found.outcome)

    codes = ", ".join(f"{code} {name}" for code, name in enumerate(OUTCOMES))
    return _described(
        track,
        name="track_outcome",
        unit="code",
        kind=DECISION,
        better=LOWER,
        smallest_effect=0.0,
        pretty_name=f"outcome: {codes}",
        # Point by point, as a sweep names them: what reads asv's results need not know the axes.
        cell_ids=[cell.id for cell in _cells().values()],
    )


def _track_decision_log() -> Track:
    def track(self: object, cells: Cells, *values: Any) -> float | None:
        found = _cell_of(cells, values)
        return digest_number(found.decision_digest) if found.outcome == DRAINED else None

    return _described(
        track,
        name="track_decision_log",
        unit="digest",
        kind=DECISION,
        better=NONE,
        smallest_effect=0.0,
        pretty_name="decision_log: first digits of its digest, as a fraction; equal or not, nothing else",
    )


def _described(track: Track, *, name: str, better: str, **attributes: Any) -> Track:
    track.__name__ = track.__qualname__ = name
    setattr(track, READS_SWEEP, True)
    if better != NONE:
        attributes["higher_is_better"] = better == HIGHER
    for key, value in {**attributes, "better": better}.items():
        setattr(track, key, value)
    return track


def _cell_of(cells: Cells, values: tuple[Any, ...]) -> CellOutcome:
    return cells[_cells()[values].id]


@cache
def _cells() -> Mapping[tuple[Any, ...], Cell]:
    return cells_by_values(suite_grid())


@cache
def _version() -> str:
    return suite_version(suite_grid())
