"""Runs are made: the protocol that every executor keeps, and the one that uses this machine."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from queue import SimpleQueue
from typing import Protocol

from exhausters.errors import ExhaustersError, UsageError
from exhausters.sweep.drain import run_cell
from exhausters.sweep.failure import failed_result
from exhausters.sweep.plan import PlannedRun, Task
from exhausters.sweep.record import CellResult, RunRecord
from exhausters.sweep.workers import Lease, Workers
from exhausters.worker.host import Host

# More workers than this wait for memory bandwidth rather than for a core.
MAX_WORKERS = 8


class Executor(Protocol):
    """Makes runs somewhere. Tasks and records are plain values that can be pickled."""

    @property
    def workers(self) -> int:
        """How many tasks are worked on side by side; a plan has as many tasks as keep all busy."""
        ...

    def run(self, tasks: Sequence[Task]) -> Generator[RunRecord, None, None]:
        """Yield a record per run as it ends, except for warm-ups.

        The runs of one task are made, and come, in its order; those of different tasks come in any order.
        Whatever fails in a run or a boot is the outcome of its record. No worker is left when the iterator
        ends, is closed, or is interrupted.
        """
        ...


class LocalExecutor:
    """Works on several tasks side by side, each on a thread with workers of its own.

    Raises:
        UsageError: fewer than one worker.
    """

    def __init__(self, workers: int | None = None) -> None:
        """Work on `workers` tasks at once; None for one per core of this process, at most `MAX_WORKERS`."""
        if workers is not None and workers < 1:
            raise UsageError(f"workers={workers}: expected an integer >= 1, or None for one per core")
        self._workers = workers or min(MAX_WORKERS, len(os.sched_getaffinity(0)))

    @property
    def workers(self) -> int:
        """How many tasks are worked on side by side."""
        return self._workers

    def run(self, tasks: Sequence[Task]) -> Generator[RunRecord, None, None]:
        """Yield a record per run as it ends, as `Executor.run` says; raises what is no error of a run."""
        ended: SimpleQueue[RunRecord | BaseException | None] = SimpleQueue()
        widest = max((task.worker_count for task in tasks), default=1)
        owner = Workers(limit=self._workers * widest)
        pool = ThreadPoolExecutor(max_workers=self._workers, thread_name_prefix="task")
        try:
            for task in tasks:
                pool.submit(_work_on, owner, task, ended)
            unfinished = len(tasks)
            while unfinished:
                found = ended.get()
                if isinstance(found, BaseException):
                    raise found
                if found is None:
                    unfinished -= 1
                else:
                    yield found
        finally:
            # After Ctrl-C, or when nobody wants more, threads are in the middle of runs.
            owner.interrupt()
            pool.shutdown(wait=True, cancel_futures=True)
            owner.close()


def _work_on(owner: Workers, task: Task, ended: SimpleQueue[RunRecord | BaseException | None]) -> None:
    """Make the runs of a task; put each record into the queue, then None, or what is no error of a run."""
    try:
        with owner.lease() as lease:
            for run in task.runs:
                record = _make(lease, run)
                if owner.is_interrupted:
                    return
                if not run.is_warm_up:
                    ended.put(record)
    except BaseException as error:
        ended.put(error)
    else:
        ended.put(None)


def _make(lease: Lease, run: PlannedRun) -> RunRecord:
    try:
        host = lease.host(run.target, run.cell.engine, clock=run.clock)
        result = run_on(host, run)
    except ExhaustersError as error:
        result = failed_result(error, run.cell, run.workload, run.options)
    return RunRecord(cell=run.cell, target=run.target.name, result=result, round=run.round, order=run.order)


def run_on(host: Host, run: PlannedRun) -> CellResult:
    """Make one run on a booted worker; raises what the cell's script or the worker raises."""
    result: CellResult = host.run(
        run_cell, run.cell, run.workload, run.options, timeout_seconds=run.timeout_seconds
    )
    provenance = {**boot_facts(host), "engine_notes": list(host.ready.notes), **result.provenance}
    return replace(result, provenance=provenance)


def boot_facts(host: Host) -> dict[str, object]:
    """Return what was booted, without what differs from boot to boot."""
    return {name: value for name, value in host.facts.items() if name != "pid"}
