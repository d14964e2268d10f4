"""Run the cells of a folder of records again, and say whether they came out the same."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

from exhausters.errors import StoreError, UsageError
from exhausters.observe.forward_time import ForwardTimeModel, LinearForwardTime
from exhausters.observe.forward_time_models import forward_time_model
from exhausters.observe.latency import GoodputLimits
from exhausters.observe.metrics import METRICS, WORK
from exhausters.sweep.cell_patterns import matching_cells
from exhausters.sweep.execute import Executor
from exhausters.sweep.plan import PlannedRun, Task
from exhausters.sweep.read_records import StoredRecords
from exhausters.sweep.record import FAILURES, OUT_OF_MEMORY, UNSUPPORTED, RunRecord
from exhausters.sweep.run_options import RunOptions
from exhausters.sweep.same_result import differences
from exhausters.targets import PreparedTarget
from exhausters.workloads import parse_workload

# Nothing that the scheduler did: the run says nothing about it.
_NO_RESULT = (*FAILURES, OUT_OF_MEMORY, UNSUPPORTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """A stored run and the same run now.

    Attributes:
        stored, found: their records.
        differences: a clause for each exact thing that differs.
    """

    stored: RunRecord
    found: RunRecord
    differences: tuple[str, ...]

    @property
    def failed(self) -> bool:
        """Whether it could not be run, though the stored run has a result."""
        stored, found = self.stored.result.outcome, self.found.result.outcome
        return found in _NO_RESULT and found != stored


def stored_runs(stored: StoredRecords, pattern: str | None) -> tuple[RunRecord, ...]:
    """Return the records whose cells match, one per target and cell; of pairs those of the first round.

    Raises:
        UsageError: no record matches.
    """
    cells = [record.cell for record in stored.records]
    chosen = {cell.id for cell in matching_cells(cells, [pattern] if pattern else ())} if cells else set()
    runs: dict[tuple[str, str], RunRecord] = {}
    for record in stored.records:
        if record.cell.id in chosen:
            runs.setdefault((record.target, record.cell.id), record)
    if not runs:
        raise UsageError(f"{stored.folder}: holds no records; expected a folder of sweep, pair or bisect")
    return tuple(runs.values())


def replay(
    records: Sequence[RunRecord], targets: Mapping[str, PreparedTarget], executor: Executor
) -> Generator[Replayed, None, None]:
    """Run each record's cell again with the options it was run with; yield the runs as they end.

    Args:
        records: one per target and cell.
        targets: on which target to run, by the target of the record.
        executor: where to run; without a cache.

    Raises:
        StoreError: a workload or forward-time model is no longer what it was.
        UsageError: a record of a run on the real clock, which no other run equals.
    """
    stored: dict[tuple[str, str], list[RunRecord]] = {}
    tasks: dict[object, list[PlannedRun]] = {}
    for record in records:
        run = _planned(record, targets[record.target])
        known = stored.setdefault((run.target.name, run.cell.id), [])
        known.append(record)
        if len(known) == 1:
            tasks.setdefault((run.target, run.cell.engine), []).append(run)
    with closing(executor.run([Task(runs=tuple(runs)) for runs in tasks.values()])) as ended:
        for found in ended:
            for record in stored[found.target, found.cell.id]:
                clauses = tuple(differences(record.result, found.result))
                yield Replayed(stored=record, found=found, differences=clauses)


def _planned(record: RunRecord, target: PreparedTarget) -> PlannedRun:
    provenance = record.result.provenance
    if provenance.get("clock", "virtual") != "virtual":
        raise UsageError(
            f"{record.cell.id} of {record.target}: was run on the {provenance['clock']} clock, on which no "
            "two runs are equal; expected the virtual one"
        )
    workload = parse_workload(record.cell.workload)
    digest = provenance.get("workload_digest", workload.digest)
    if digest != workload.digest:
        raise StoreError(
            f"{record.cell.workload}: has digest {workload.digest[:16]} now, and {str(digest)[:16]} in the "
            "record: use the harness and the trace that it was run with"
        )
    facts = record.result.facts
    options = RunOptions(
        forward_time=_forward_time(provenance.get("forward_time_model")),
        count_work=any(name in METRICS and METRICS[name].kind == WORK for name in record.result.metrics),
        goodput=GoodputLimits() if facts is None else facts.goodput,
    )
    return PlannedRun(target=target, cell=record.cell, workload=workload, options=options)


def _forward_time(name: object) -> ForwardTimeModel:
    """The model that a record names, such as `linear/1` or `roofline/1:MODEL@DEVICE`."""
    if name is None:  # a run that failed before it had one
        return LinearForwardTime()
    kind, _, rest = str(name).partition("/")
    _, colon, more = rest.partition(":")
    model = forward_time_model(f"{kind}{colon}{more}")
    if model.name != name:
        raise StoreError(f"forward time {name!r}: this harness has {model.name!r}; run the cell anew")
    return model
