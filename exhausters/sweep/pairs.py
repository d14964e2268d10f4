"""Host time of two builds, side by side: each cell in turn A B, B A, A B, …, each pair in new processes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing

from exhausters.sweep.execute import Executor, LocalExecutor
from exhausters.sweep.grid import Grid
from exhausters.sweep.plan import pairs_left, plan_pairs
from exhausters.sweep.record import RunRecord
from exhausters.sweep.run_options import RunOptions
from exhausters.sweep.runner import OnRecord
from exhausters.targets import PreparedTarget
from exhausters.workloads import Workload

# Fewer pairs say nothing (docs/verdicts.md); with twelve, one changed cell of a hundred can be detected.
DEFAULT_ROUNDS = 12
PAIR_OPTIONS = RunOptions(count_work=False)


def run_pairs(
    base: PreparedTarget,
    head: PreparedTarget,
    grid: Grid,
    *,
    rounds: int = DEFAULT_ROUNDS,
    executor: Executor | None = None,
    on_record: OnRecord = lambda record: None,
    known: Sequence[RunRecord] = (),
    workloads: Mapping[str, Workload] | None = None,
) -> tuple[RunRecord, ...]:
    """Time every cell of the grid on both builds, `rounds` times each, and return all runs as they came.

    A run that fails is a record with that outcome, and its worker is booted again for the next; a build that
    does not boot with a cell's settings is tried once. By default one pair runs at a time: runs beside each
    other would disturb the times. `known` are pairs of an earlier call, which are not run; `workloads` those
    of the cells, if they are built already.

    Raises:
        UsageError: both builds are the same, or there are no rounds.
        WorkloadError: a workload that cannot be built; raised before anything is booted.
    """
    tasks = plan_pairs(base, head, grid, rounds=rounds, options=PAIR_OPTIONS, workloads=workloads)
    tasks = pairs_left(tasks, {(record.cell.id, record.round or 0) for record in known})
    records = list(known)
    with closing((executor or LocalExecutor(workers=1)).run(tasks)) as ended:
        for record in ended:
            records.append(record)
            on_record(record)
    return tuple(records)
