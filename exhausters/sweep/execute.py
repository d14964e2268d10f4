"""Execute planned runs: the protocol of executors, and the one that uses this machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import replace
from queue import SimpleQueue
from types import TracebackType
from typing import Protocol

from exhausters.engine.api import ImportedSources
from exhausters.errors import ExhaustersError, HostError, UsageError
from exhausters.scripted.context import ScriptedContext
from exhausters.sweep.cell import EngineSettings
from exhausters.sweep.drain import run_cell
from exhausters.sweep.failure import failed_result
from exhausters.sweep.plan import PlannedRun, Task
from exhausters.sweep.record import CellResult, RunRecord
from exhausters.sweep.workers import Lease, Workers
from exhausters.targets import PreparedTarget
from exhausters.worker.bases import Bases
from exhausters.worker.host import Host

# More workers than this wait for memory bandwidth rather than for a core.
MAX_WORKERS = 8
# What stays booted between two calls of `run` in a `with` block; each takes some hundred megabytes.
_KEPT_WORKERS = 8


class Executor(Protocol):
    """Executes planned runs. Tasks and records are plain values that can be pickled."""

    @property
    def workers(self) -> int:
        """How many tasks are executed in parallel; a plan has at least as many where it can."""
        ...

    def run(self, tasks: Sequence[Task]) -> Generator[RunRecord, None, None]:
        """Yield a record per run as it ends, except for warm-ups.

        The runs of one task are executed, and yielded, in its order; those of different tasks come in any
        order. A run or boot that fails gives a record with that outcome. No worker is left when the generator
        ends, is closed, or is interrupted.
        """
        ...


class KeepsResults(Protocol):
    """What is told of each run that has succeeded."""

    def keep(self, run: PlannedRun, result: CellResult, sources: ImportedSources) -> None:
        """Be told of a run that has succeeded, and of what its worker has imported."""
        ...


class KnownResults(KeepsResults, Protocol):
    """What an executor asks before it executes, and tells afterwards; `ResultCache` is one."""

    def split(self, tasks: Sequence[Task]) -> tuple[list[RunRecord], list[Task]]:
        """Return records for the runs whose results are known, and the tasks without those runs."""
        ...

    def confirm(self, record: RunRecord) -> None:
        """Be given a record; raises CacheError if it should have been another."""
        ...

    def prune(self) -> None:
        """Be told that all runs have ended."""
        ...


def with_known_results(
    cache: KnownResults | None,
    tasks: Sequence[Task],
    execute: Callable[[Sequence[Task]], Generator[RunRecord, None, None]],
) -> Generator[RunRecord, None, None]:
    """Yield the records that a cache knows, and then those of executing the rest, confirmed by it.

    Raises:
        CacheError: a cached result that was to be verified is not what the run gave.
    """
    if cache is None:
        yield from execute(tasks)
        return
    found, tasks = cache.split(tasks)
    yield from found
    with closing(execute(tasks)) as ended:
        for record in ended:
            cache.confirm(record)
            yield record
    cache.prune()


class LocalExecutor:
    """Executes several tasks in parallel, each on a thread with workers of its own.

    As a context manager it keeps its workers booted from one `run` to the next, and closes them at the end.

    Raises:
        UsageError: fewer than one worker.
    """

    def __init__(
        self,
        workers: int | None = None,
        *,
        cache: KnownResults | None = None,
        on_boot: Callable[[str], None] = lambda said: None,
        bases: Bases | None = None,
    ) -> None:
        """Execute `workers` tasks in parallel; None means one per core, at most `MAX_WORKERS`.

        With a cache, runs whose results it has are not executed, and the others' are kept. `on_boot` is told
        of boots, as `Workers` tells it, and `bases` are those of a caller with several executors.
        """
        if workers is not None and workers < 1:
            raise UsageError(f"workers={workers}: expected an integer >= 1, or None for one per core")
        self._workers = workers or min(MAX_WORKERS, len(os.sched_getaffinity(0)))
        self._kept: Workers | None = None
        self._cache = cache
        self._on_boot, self._bases = on_boot, bases

    @property
    def workers(self) -> int:
        """How many tasks are executed in parallel."""
        return self._workers

    def run(self, tasks: Sequence[Task]) -> Generator[RunRecord, None, None]:
        """Yield a record per run as it ends, as `Executor.run` says; raises unforeseen errors.

        Raises:
            CacheError: a cached result that was to be verified is not what the run gave.
        """
        return with_known_results(self._cache, tasks, self._execute)

    def _execute(self, tasks: Sequence[Task]) -> Generator[RunRecord, None, None]:
        ended: SimpleQueue[RunRecord | BaseException | None] = SimpleQueue()
        widest = max((task.worker_count for task in tasks), default=1)
        owner = self._kept or Workers(limit=self._workers * widest, on_boot=self._on_boot, bases=self._bases)
        unfinished = len(tasks)
        pool = ThreadPoolExecutor(max_workers=self._workers, thread_name_prefix="task")
        try:
            for task in tasks:
                pool.submit(_execute, owner, task, ended, self._cache)
            while unfinished:
                found = ended.get()
                if isinstance(found, BaseException):
                    raise found
                if found is None:
                    unfinished -= 1
                else:
                    yield found
        finally:
            is_kept = owner is self._kept and not unfinished
            if unfinished:
                # After Ctrl-C, or when the consumer stopped, threads are in the middle of runs and boots.
                if self._bases is not None:
                    self._bases.interrupt()
                owner.interrupt()
            pool.shutdown(wait=True, cancel_futures=True)
            if not is_kept:
                owner.close()

    def __enter__(self) -> LocalExecutor:
        self._kept = Workers(limit=_KEPT_WORKERS, on_boot=self._on_boot, bases=self._bases)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._kept is not None:
            self._kept.close()
        self._kept = None


def _execute(
    owner: Workers,
    task: Task,
    ended: SimpleQueue[RunRecord | BaseException | None],
    cache: KnownResults | None,
) -> None:
    """Execute a task; put each record into the queue, then None, or the unforeseen error that ended it."""
    try:
        with owner.lease() as lease:
            pair: tuple[EngineSettings, int] | None = None
            for run in task.runs:
                if run.boot and pair != (run.cell.engine, run.boot):
                    pair = run.cell.engine, run.boot
                    lease.boot_together(_workers_of(task, *pair), boot=run.boot)
                record = record_of(lease, run, cache)
                if owner.is_interrupted:
                    return
                if not run.is_warm_up:
                    ended.put(record)
    except BaseException as error:
        ended.put(error)
    else:
        ended.put(None)


def _workers_of(
    task: Task, engine: EngineSettings, boot: int
) -> tuple[tuple[PreparedTarget, EngineSettings, str], ...]:
    """What a pair of processes is booted with; one after the other they would take twice as long."""
    runs = (run for run in task.runs if run.cell.engine == engine and run.boot == boot)
    return tuple(dict.fromkeys((run.target, run.cell.engine, run.clock) for run in runs))


def record_of(lease: Lease, run: PlannedRun, cache: KeepsResults | None) -> RunRecord:
    """Boot what a run needs, unless it is lent, execute the run, and return its record, whatever happens."""
    host: Host | None = None
    try:
        host = lease.host(run.target, run.cell.engine, clock=run.clock, boot=run.boot)
        host.pin(_core_of(run, sorted(os.sched_getaffinity(0))))
        result = run_on(host, run)
        if cache is not None:
            _keep(cache, host, run, result)
    except ExhaustersError as error:
        result = failed_result(error, run.cell, run.workload, run.options)
        if host is not None:
            result = _with_boot(result, host)
    return RunRecord(
        cell=run.cell,
        target=run.target.name,
        result=result,
        round=run.round,
        order=run.order,
        boot=None if run.round is None else run.boot,
    )


def _core_of(run: PlannedRun, cores: Sequence[int]) -> int | None:
    """Return the core that a run is pinned to; None for a run that is not one of a pair.

    Cores of one machine are not alike: what else runs there, or beside it behind a hypervisor, slows one of
    them for minutes. Two builds that each stay on a core of their own differ by that. Both runs of a pair
    share a core, and two pairs, A B and B A, are taken on each in turn.
    """
    return None if run.round is None else cores[run.round // 2 % len(cores)]


def _keep(cache: KeepsResults, host: Host, run: PlannedRun, result: CellResult) -> None:
    # The run has succeeded: a worker that dies now, or a full disk, costs the cache and not the record.
    with suppress(HostError, OSError):
        cache.keep(run, result, host.run(imported_sources, reset=False))


def imported_sources(context: ScriptedContext) -> ImportedSources:
    """A script without a step: which files of the target the worker has imported until now."""
    return context.engine.imported_sources()


def run_on(host: Host, run: PlannedRun) -> CellResult:
    """Execute one run on a booted worker; raises what the cell's script or the worker raises."""
    result: CellResult = host.run(
        run_cell, run.cell, run.workload, run.options, timeout_seconds=run.timeout_seconds
    )
    return _with_boot(result, host)


def _with_boot(result: CellResult, host: Host) -> CellResult:
    booted = {**boot_facts(host), "engine_notes": list(host.ready.notes)}
    return replace(result, provenance={**booted, **result.provenance})


def boot_facts(host: Host) -> dict[str, object]:
    """Return what was booted, without what differs from boot to boot."""
    return {name: value for name, value in host.facts.items() if name != "pid"}
