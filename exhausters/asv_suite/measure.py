"""One sweep per commit: run by asv once before the first benchmark, read by all of them."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from exhausters.asv_suite.state import TargetState
from exhausters.asv_suite.suite_grid import grid_label, suite_grid
from exhausters.errors import BootError
from exhausters.sweep.execute import LocalExecutor
from exhausters.sweep.grid import Grid
from exhausters.sweep.record import FAILURES, RunRecord
from exhausters.sweep.result_cache import ResultCache
from exhausters.sweep.runner import sweep
from exhausters.sweep.store import sweep_writer
from exhausters.targets import prepare

__all__ = ["CACHE_VARIABLE", "CellOutcome", "measure_commit", "records_folder"]

_BROKEN = "broken.txt"
# `0` measures host time again of commits whose exact results are known.
CACHE_VARIABLE = "EXHAUSTERS_ASV_CACHE"


@dataclass(frozen=True, slots=True, kw_only=True)
class CellOutcome:
    """What benchmarks read of one cell.

    Attributes:
        outcome: one of `exhausters.sweep.record.OUTCOMES`.
        reason: one sentence unless it drained.
        decision_digest: of the decision log, in hexadecimal.
        metrics: by name; None where a run has no such value.
    """

    outcome: str
    reason: str
    decision_digest: str
    metrics: dict[str, float | int | None]


def records_folder(grid: Grid, commit: str) -> Path:
    """Return where the records of a commit are kept, decision logs and reasons included.

    asv's own files have numbers only. Each grid has a folder, so that none replaces another's records.
    """
    return Path(os.environ.get("ASV_CONF_DIR", ".")) / ".asv" / "records" / grid_label(grid) / commit


def measure_commit() -> dict[str, CellOutcome]:
    """Sweep the suite's grid on the commit that asv has installed; return every cell by its id.

    Raises:
        ExhaustersError: the commit is broken: it cannot be prepared, or no engine settings boot. asv then
            records null for every benchmark and continues with the next commit; `broken.txt` in the commit's
            folder says why, as it does for any other error.
    """
    state, grid = TargetState.read(), suite_grid()
    folder = records_folder(grid, state.commit)
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        records = _sweep(state, grid, folder)
        _require_one_boot(records)
    except Exception as error:
        folder.mkdir(exist_ok=True)
        (folder / _BROKEN).write_text(f"{type(error).__name__}: {error}\n")
        raise
    return {record.cell.id: _outcome(record) for record in records}


# asv reads the time limit of a set-up, in seconds, from the function.
measure_commit.timeout = 3_600.0  # type: ignore[attr-defined]


def _sweep(state: TargetState, grid: Grid, folder: Path) -> tuple[RunRecord, ...]:
    target = prepare(state.target)
    with sweep_writer(folder, target=target, grid=grid) as writer:
        is_wanted = os.environ.get(CACHE_VARIABLE, "1") != "0"
        executor = LocalExecutor(cache=ResultCache() if is_wanted else None)
        records = sweep(target, grid, executor=executor, on_record=writer.add)
        writer.finish()
    return records


def _require_one_boot(records: tuple[RunRecord, ...]) -> None:
    if all(record.result.outcome in FAILURES and not record.result.log.steps for record in records):
        error = records[0].result.provenance.get("error", records[0].result.reason)
        raise BootError(f"no cell ran; the first one: {error}")


def _outcome(record: RunRecord) -> CellOutcome:
    result = record.result
    return CellOutcome(
        outcome=result.outcome,
        reason=result.reason,
        decision_digest=result.log.digest,
        metrics=dict(result.metrics),
    )
