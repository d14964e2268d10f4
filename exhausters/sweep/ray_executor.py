"""Execute planned runs on the nodes of a Ray cluster: an actor for each booted worker."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from types import TracebackType
from typing import Any

from exhausters.errors import ClusterError, ExhaustersError, UsageError
from exhausters.sweep.cache_key import harness_digest
from exhausters.sweep.execute import KnownResults, with_known_results
from exhausters.sweep.plan import PlannedRun, Task
from exhausters.sweep.ray_actors import BootedWorker, NodeTargets, Place, Ran
from exhausters.sweep.ray_session import LostError, RaySession
from exhausters.sweep.record import RunRecord
from exhausters.sweep.remote_tasks import RemoteTasks
from exhausters.targets import PreparedTarget
from exhausters.worker.extensions import extensions

# After so long without an event it is said what is waited for.
_PATIENCE_SECONDS = 60.0
# Actors in a row that did not come up, after which no other is started.
_MAX_FAILED_STARTS = 3

Say = Callable[[str], None]
# What is done with a call that has ended.
_Then = Callable[[Any], Iterator[RunRecord]]


class RayExecutor:
    """Executes tasks on a Ray cluster, one per actor at a time; a context manager that disconnects.

    Raises:
        ClusterError: Ray is not there.
        MissingExtraError: Ray is not installed.
        UsageError: fewer than one worker, or more than the cluster has CPUs.
    """

    def __init__(
        self,
        workers: int | None = None,
        *,
        address: str | None = None,
        cache: KnownResults | None = None,
        say: Say = lambda said: None,
    ) -> None:
        """Connect, and execute `workers` tasks in parallel; None means one per CPU of the cluster.

        Without an address Ray is started on this machine. With a cache, as `LocalExecutor`; it is on this
        machine. `say` is told of nodes and places that are lost.
        """
        if workers is not None and workers < 1:
            raise UsageError(f"workers={workers}: expected an integer >= 1, or None for one per CPU")
        self._cache = cache
        self._say = say
        self._session = RaySession(address, cpus=workers)
        cpus = self._session.cpu_count
        self._workers = workers or cpus
        if not 1 <= self._workers <= cpus:
            self._session.close()
            raise UsageError(f"workers={workers}: expected at most {cpus}, the CPUs of this Ray cluster")

    @property
    def workers(self) -> int:
        """How many tasks are executed in parallel."""
        return self._workers

    def run(self, tasks: Sequence[Task]) -> Generator[RunRecord, None, None]:
        """Yield a record per run as it ends, as `Executor.run` says; raises unforeseen errors.

        A run whose actor or node is lost is made again elsewhere, a few times; then its record says so.

        Raises:
            CacheError: a cached result that was to be verified is not what the run gave.
            ClusterError: no node can run the target, or no actor comes up.
            UsageError: pairs of builds.
        """
        return with_known_results(self._cache, tasks, self._execute)

    def close(self) -> None:
        """Disconnect; a Ray that was started here ends."""
        self._session.close()

    def __enter__(self) -> RayExecutor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _execute(self, tasks: Sequence[Task]) -> Generator[RunRecord, None, None]:
        crew = _Crew(self._session, tasks, self._cache, self._say)
        try:
            yield from crew.records(min(self._workers, len(tasks)))
        finally:
            crew.close()


@dataclass(slots=True)
class _Node:
    """What is known of a node: its targets once they are ready, why it is of no use, who waits for it."""

    targets: dict[str, PreparedTarget] = field(default_factory=dict)
    refused: str = ""
    waiting: list[Any] = field(default_factory=list)


class _Crew:
    """The actors of one call of `RayExecutor.run`, and the calls to them that are under way."""

    def __init__(
        self, session: RaySession, tasks: Sequence[Task], cache: KnownResults | None, say: Say
    ) -> None:
        self._session = session
        self._tasks = RemoteTasks(tasks)
        self._targets = tuple({run.target.name: run.target for task in tasks for run in task.runs}.values())
        self._cache = cache
        self._say = say
        self._calls: dict[Any, _Then] = {}
        self._places: dict[Any, Place] = {}  # of the actors that have come up
        self._nodes: dict[str, _Node] = {}
        self._idle: list[Any] = []
        self._failed_starts = 0
        self._last_reason = ""

    def records(self, places: int) -> Iterator[RunRecord]:
        """Start as many actors, and yield a record per run as it ends."""
        for _ in range(places):
            self._start()
        while not self._tasks.is_finished:
            if not self._calls:
                raise ClusterError(f"no place is left to run anything; the last one: {self._last_reason}")
            call = self._session.wait(list(self._calls), _PATIENCE_SECONDS)
            if call is not None:
                yield from self._calls.pop(call)(call)
            elif not self._places:
                self._say("waiting for the cluster to give this command a CPU")

    def close(self) -> None:
        """End all actors, and with them their workers."""
        self._session.end_all([actor.close.remote for actor in self._places])

    def _start(self) -> None:
        actor = self._session.start(BootedWorker, extensions(), wants_sources=self._cache is not None)
        self._calls[actor.where.remote()] = partial(self._came_up, actor)

    def _came_up(self, actor: Any, call: Any) -> Iterator[RunRecord]:
        try:
            place: Place = self._session.result(call)
        except LostError as error:
            self._session.end(actor)
            self._start_failed([actor], str(error))
            return
        self._places[actor] = place
        if place.node not in self._nodes:
            self._nodes[place.node] = _Node()
            node_actor = self._session.start(NodeTargets, node=place.node)
            call = node_actor.prepare.remote(self._targets, harness_digest())
            self._calls[call] = partial(self._prepared, place.node)
        node = self._nodes[place.node]
        if node.refused:
            self._dismiss(actor, node.refused)
        elif node.targets:
            self._failed_starts = 0
            self._feed(actor)
        else:
            node.waiting.append(actor)
        yield from ()

    def _prepared(self, name: str, call: Any) -> Iterator[RunRecord]:
        node = self._nodes[name]
        waiting, node.waiting = node.waiting, []
        try:
            node.targets = self._session.result(call)
            self._failed_starts = 0
        except LostError as error:  # whatever ended it says nothing of the node
            del self._nodes[name]
            for actor in waiting:
                self._dismiss(actor, str(error))
            self._start_failed(waiting, str(error))
            return
        except ExhaustersError as error:
            node.refused = str(error)
            self._say(f"a node of the cluster is left out: {error}")
            for actor in waiting:
                self._dismiss(actor, node.refused)
        for actor in waiting if node.targets else ():
            self._feed(actor)
        yield from ()

    def _start_failed(self, actors: Sequence[Any], why: str) -> None:
        """Start others in their place, unless too many in a row have failed."""
        self._last_reason = why
        self._failed_starts += 1
        for _ in actors if self._failed_starts < _MAX_FAILED_STARTS else ():
            self._start()

    def _dismiss(self, actor: Any, why: str) -> None:
        self._last_reason = why
        del self._places[actor]
        self._session.end(actor)

    def _feed(self, actor: Any) -> None:
        """Give an actor its next run, if there is one."""
        run = self._tasks.next_run(actor)
        if run is None:
            self._idle.append(actor)
            return
        target = self._nodes[self._places[actor].node].targets[run.target.name]
        self._calls[actor.run.remote(replace(run, target=target))] = partial(self._ran, actor, run)

    def _ran(self, actor: Any, run: PlannedRun, call: Any) -> Iterator[RunRecord]:
        try:
            ran: Ran = self._session.result(call)
        except LostError as error:
            yield from self._lost(actor, str(error))
            return
        self._tasks.ended(actor)
        self._feed(actor)
        if self._cache is not None and ran.sources is not None:
            with suppress(OSError):  # a full disk costs the cache and not the record
                self._cache.keep(run, ran.record.result, ran.sources)
        yield ran.record

    def _lost(self, actor: Any, why: str) -> Iterator[RunRecord]:
        self._say(f"lost a worker on {self._places[actor].host}: {why}")
        record = self._tasks.lost(actor, why)
        self._dismiss(actor, why)
        if self._tasks.has_waiting and self._idle:
            self._feed(self._idle.pop())
        elif self._tasks.has_waiting:
            self._start()
        if record is not None:
            yield record
