"""How an error becomes the result of a run: an outcome, a reason, and what had been measured until then."""

from __future__ import annotations

from dataclasses import replace

from exhausters.engine.settings import HostSettings, emitted_text
from exhausters.errors import (
    ExhaustersError,
    UnsupportedSettingError,
    WorkerHungError,
    WorkerOutOfMemoryError,
)
from exhausters.observe.decision_log import DecisionLog
from exhausters.observe.summary import summarize
from exhausters.sweep.cell import Cell
from exhausters.sweep.facts import planned_facts
from exhausters.sweep.record import CRASHED, OUT_OF_MEMORY, TIMEOUT, UNSUPPORTED, CellResult
from exhausters.sweep.run_options import RunOptions
from exhausters.workloads import Workload


def failed_result(
    error: ExhaustersError, cell: Cell, workload: Workload | None, options: RunOptions | None = None
) -> CellResult:
    """Return the result of a run that ended with an error; the workload is None if it could not be built."""
    outcome = CRASHED
    if isinstance(error, WorkerOutOfMemoryError):
        outcome = OUT_OF_MEMORY
    elif isinstance(error, WorkerHungError):
        outcome = TIMEOUT
    first_line = str(error).split("\n", 1)[0]
    reason = f"{type(error).__name__}: {first_line}"
    if isinstance(error, UnsupportedSettingError):
        outcome, reason = UNSUPPORTED, first_line
    kept = _salvaged(getattr(error, "salvaged", None), cell, workload, options or RunOptions())
    return replace(
        kept,
        outcome=outcome,
        reason=reason,
        provenance={**kept.provenance, "error": str(error), "partial": len(kept.log) > 0},
    )


def _salvaged(salvaged: object, cell: Cell, workload: Workload | None, options: RunOptions) -> CellResult:
    """What is left of a run: a whole result so far, or only the step records a killed worker wrote."""
    if isinstance(salvaged, CellResult):
        return salvaged
    steps = salvaged if isinstance(salvaged, tuple) else ()
    log = DecisionLog(steps)
    if not steps or workload is None:
        return CellResult(outcome="", reason="", log=log, metrics={})
    # When requests arrived and were submitted died with the worker; the rest was known before the run.
    text = emitted_text(cell.engine.model, HostSettings().emitted_token)
    facts = planned_facts(cell, workload, goodput=options.goodput, text=text)
    return CellResult(
        outcome="", reason="", log=log, metrics=summarize(log, facts), facts=facts.without_sequences()
    )
