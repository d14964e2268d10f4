"""What one run leaves behind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from exhausters.observe.decision_log import DecisionLog
from exhausters.sweep.cell import Cell

# Outcomes of a run (see docs/glossary.md).
DRAINED, STALLED, ABORTED = "drained", "stalled", "aborted"
OUT_OF_MEMORY, CRASHED, TIMEOUT = "out_of_memory", "crashed", "timeout"
# This SGLang has no such switch, or refuses its value: nothing ran.
UNSUPPORTED = "unsupported"
# In a fixed order, to which new ones are appended: asv keeps the place in it.
OUTCOMES = (DRAINED, STALLED, ABORTED, OUT_OF_MEMORY, CRASHED, TIMEOUT, UNSUPPORTED)
# Outcomes that say something about the harness or the build, not about the scheduler's behaviour.
FAILURES = (CRASHED, TIMEOUT)

# Raise when a record's fields change their meaning: results of different schemas are not compared.
SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class CellResult:
    """What the worker tells of one run.

    Attributes:
        outcome: one of `OUTCOMES`.
        reason: one sentence for any outcome but `drained`.
        log: the decision log of the measured steps.
        metrics: values by metric name; None where a run has no such value (no retraction, no median).
        provenance: what the numbers depend on: forward-time model, workload digest, versions.
    """

    outcome: str
    reason: str
    log: DecisionLog
    metrics: Mapping[str, float | int | None]
    provenance: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """One cell, once, on one target.

    Attributes:
        cell: the cell.
        target: canonical text of the target, e.g. `release:0.5.23`.
        result: what was measured.
    """

    cell: Cell
    target: str
    result: CellResult

    def to_json(self) -> dict[str, Any]:
        """Return the record in plain values, without the log's steps (they have a file of their own)."""
        return {
            "schema": SCHEMA_VERSION,
            "cell": self.cell.id,
            "target": self.target,
            **self.cell.to_json(),
            "outcome": self.result.outcome,
            "reason": self.result.reason,
            "decision_digest": self.result.log.digest,
            "metrics": dict(self.result.metrics),
            "provenance": dict(self.result.provenance),
        }
