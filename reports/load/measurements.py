"""One run as every loader returns it, before it becomes rows of a frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from exhausters.observe.metrics import METRICS, NONE, Metric
from reports.vocabulary import UNREGISTERED


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One metric of one run.

    Attributes:
        metric: what was measured; from the registry where it knows the name.
        value: the value, in the metric's unit; None where the run has no such value.
        samples: the single measurements behind `value`; empty where there was one.
    """

    metric: Metric
    value: float | None
    samples: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One cell, once, on one build.

    Attributes:
        target: canonical text of the target; for asv the first 12 characters of the commit.
        version: SGLang's version, if known.
        commit: full hash, if known.
        committed: when the build's commit was made, if known; UTC.
        measured: when it was measured, if known; UTC.
        machine: where it ran, if known.
        suite: `sweep`, `asv` or `pytest_benchmark`.
        session: folder or file it comes from. Pairs are formed within one session.
        cell: stable id of the cell.
        axes: value of each axis by name; None for a level means that everything was left.
        readings: the metrics.
        outcome, reason: how the run ended, and why if it did not drain.
        round: number of the pair this run belongs to; None for a run on its own.
        order: `AB` when base ran first in this round, `BA` when head did.
        boot: number of the pair of processes that ran this round; None if it is not known.
        decision_digest: digest of the decision log.
        log_path: file of the decision log.
        provenance: what the numbers depend on.
    """

    target: str
    suite: str
    session: str
    cell: str
    outcome: str
    version: str | None = None
    commit: str | None = None
    committed: datetime | None = None
    measured: datetime | None = None
    machine: str | None = None
    axes: Mapping[str, object] = field(default_factory=dict)
    readings: tuple[Reading, ...] = ()
    reason: str = ""
    round: int | None = None
    order: str | None = None
    boot: int | None = None
    decision_digest: str | None = None
    log_path: str | None = None
    provenance: Mapping[str, object] = field(default_factory=dict)

    @property
    def date(self) -> datetime | None:
        """When the build's commit was made, else when it was measured; UTC."""
        return self.committed or self.measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One folder or file of results, as it describes itself.

    Attributes:
        name: the path as the user gave it.
        suite: who wrote it.
        expected_cells: cells it set out to measure, for each build; None if it does not say.
        expected_runs: of pairs, records that it set out to leave, for each build; None if it does not say.
        grid: name of the grid that was swept; None if it does not say.
        complete: it says that it was finished; None if it does not say.
    """

    name: str
    suite: str
    expected_cells: int | None = None
    expected_runs: int | None = None
    grid: str | None = None
    complete: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """Something that was found and not loaded; counted and shown, so that nothing is dropped silently."""

    place: str
    reason: str


def metric_named(name: str) -> Metric:
    """Return the registry's metric, or one of kind `unregistered`, which is shown and never judged."""
    known = METRICS.get(name)
    if known is not None:
        return known
    return Metric(
        name=name, unit="", kind=UNREGISTERED, better=NONE, smallest_effect=0.0, meaning="Not registered."
    )
