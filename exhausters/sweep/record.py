"""What one run leaves behind, and how it is written down and read back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from exhausters.errors import StoreError, UsageError
from exhausters.observe.decision_log import DecisionLog
from exhausters.observe.executed_source import ExecutedSource
from exhausters.observe.run_facts import RunFacts
from exhausters.oracles import Judgement
from exhausters.pressure.levels import PressureLevels
from exhausters.sweep.cell import Cell, EngineSettings

# Outcomes of a run (see docs/glossary.md).
DRAINED, STALLED, ABORTED = "drained", "stalled", "aborted"
OUT_OF_MEMORY, CRASHED, TIMEOUT = "out_of_memory", "crashed", "timeout"
# This SGLang has no such switch, or refuses its value: nothing ran.
UNSUPPORTED = "unsupported"
# In a fixed order, to which new ones are appended: asv keeps the place in it.
OUTCOMES = (DRAINED, STALLED, ABORTED, OUT_OF_MEMORY, CRASHED, TIMEOUT, UNSUPPORTED)
# Outcomes that say something about the harness or the build, not about the scheduler's behaviour.
FAILURES = (CRASHED, TIMEOUT)

# In the provenance of a record that is of an earlier run: the target of that run.
CACHED_FROM = "cached_from"

# In the provenance of a run after which the idle engine was still marked as full.
LEFT_MARKED_FULL = "left_marked_full"
# Likewise, of a run that stalled in an engine of a disaggregated pair: what it waits for.
STALLED_BY = "stalled_by"
# Likewise, of several ranks: how many there are, and the metrics of those that have requests of their own.
RANKS, RANK_METRICS = "ranks", "rank_metrics"
# Likewise: what the events of its workload did, as `Events.acts` has it.
EVENT_STEPS = "event_steps"

# Raise when a record's fields change their meaning: results of different schemas are not compared.
SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class CellResult:
    """What one run measured, or why it measured nothing.

    Attributes:
        outcome: one of `OUTCOMES`.
        reason: one sentence for any outcome but `drained`.
        log: the decision log of the measured steps.
        metrics: values by metric name; None where a run has no such value (no retraction, no median).
        provenance: what the numbers depend on: forward-time model, workload digest, versions.
        facts: what else is needed to compute the metrics again from the log, without token sequences; None
            when the run failed before its first step.
        executed: lines that the run executed and files that the worker imported; None where no pass
            recorded them.
        judgement: what the oracles say; None where no pass asked them. It is not part of a record.
        rank_logs: the decision logs of all ranks but the first, in their order; empty for one rank.
    """

    outcome: str
    reason: str
    log: DecisionLog
    metrics: Mapping[str, float | int | None]
    provenance: Mapping[str, Any] = field(default_factory=dict)
    facts: RunFacts | None = None
    executed: ExecutedSource | None = None
    judgement: Judgement | None = None
    rank_logs: tuple[DecisionLog, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """One cell, once, on one target.

    Attributes:
        cell: the cell.
        target: canonical text of the target, e.g. `release:0.5.23`.
        result: what was measured.
        round: of a paired run, number of the pair within its cell, from 0; else None.
        order: of a paired run, `AB` if base ran first in its round, `BA` if head did; else None.
        boot: of a paired run, number of the pair of processes that ran it; else None.
    """

    cell: Cell
    target: str
    result: CellResult
    round: int | None = None
    order: str | None = None
    boot: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the record in plain values, without log, facts and lines (they have files of their own)."""
        paired = {} if self.round is None else {"round": self.round, "order": self.order, "boot": self.boot}
        ranks = [log.digest for log in self.result.rank_logs]
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
            **({"rank_digests": ranks} if ranks else {}),
            **paired,
        }

    @classmethod
    def from_json(
        cls,
        values: Mapping[str, Any],
        *,
        log: DecisionLog,
        facts: RunFacts | None,
        executed: ExecutedSource | None = None,
        rank_logs: tuple[DecisionLog, ...] = (),
    ) -> RunRecord:
        """Return the record that `to_json` wrote, given what it left out.

        Raises:
            StoreError: the values are of another schema, or do not make the cell they name.
        """
        if values.get("schema") != SCHEMA_VERSION:
            raise StoreError(
                f"schema {values.get('schema')!r}, this harness reads {SCHEMA_VERSION}: sweep again, or read "
                "it with the harness that wrote it"
            )
        try:
            return cls(
                cell=_cell(values),
                target=values["target"],
                result=CellResult(
                    outcome=values["outcome"],
                    reason=values["reason"],
                    log=log,
                    metrics=values["metrics"],
                    provenance=values["provenance"],
                    facts=facts,
                    executed=executed,
                    rank_logs=rank_logs,
                ),
                round=values.get("round"),
                order=values.get("order"),
                boot=values.get("boot"),
            )
        except (KeyError, TypeError, UsageError) as error:
            raise StoreError(f"not a record of a run ({type(error).__name__}: {error})") from error


def _cell(values: Mapping[str, Any]) -> Cell:
    cell = Cell(
        workload=values["workload"],
        levels=PressureLevels(**values["levels"]),
        engine=EngineSettings.from_json(values["engine"]),
    )
    if cell.id != values["cell"]:
        raise StoreError(f"cell {values['cell']!r}: its settings make {cell.id!r} in this harness")
    return cell
