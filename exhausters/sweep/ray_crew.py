"""The actors of one sweep on a Ray cluster: where they are started, what each runs next, which are lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from exhausters.errors import ClusterError, ExhaustersError
from exhausters.sweep.cache_key import harness_digest
from exhausters.sweep.execute import KnownResults
from exhausters.sweep.plan import PlannedRun, Task
from exhausters.sweep.ray_actors import BootedWorker, NodeTargets, Place, Ran
from exhausters.sweep.ray_session import LostError, RaySession
from exhausters.sweep.record import RunRecord
from exhausters.sweep.remote_tasks import RemoteTasks
from exhausters.targets import PreparedTarget
from exhausters.worker.extensions import extensions

# After so long without an event it is said what is waited for.
_PATIENCE_SECONDS = 60.0
# Actors in a row that did not come up, for each that is wanted, after which no other is started.
_MAX_FAILED_STARTS = 3

Say = Callable[[str], None]
# What is done with a call that has ended.
_Then = Callable[[Any], Iterator[RunRecord]]


@dataclass(slots=True)
class _Node:
    """What is known of a node: its targets once they are ready, why it is of no use, who waits for it."""

    targets: dict[str, PreparedTarget] = field(default_factory=dict)
    refused: str = ""
    waiting: list[Any] = field(default_factory=list)


class Crew:
    """The actors of one call of `RayExecutor.run`, and the calls to them that are under way.

    While anything waits to be run there are as many actors as places, where the cluster has room for them:
    those that are lost, and those that came up on a node of no use, are replaced elsewhere.
    """

    def __init__(
        self, session: RaySession, tasks: Sequence[Task], cache: KnownResults | None, say: Say, *, places: int
    ) -> None:
        """Take the tasks, to be run by at most `places` actors at a time.

        Raises:
            UsageError: pairs of builds.
        """
        self._session = session
        self._tasks = RemoteTasks(tasks)
        self._targets = tuple({run.target.name: run.target for task in tasks for run in task.runs}.values())
        self._cache = cache
        self._say = say
        self._limit = places
        self._calls: dict[Any, _Then] = {}
        self._starting = 0
        self._places: dict[Any, Place] = {}  # of the actors that have come up
        self._nodes: dict[str, _Node] = {}
        self._idle: list[Any] = []
        self._asked: list[Any] = []  # were idle, and will be given a run if they are still there
        self._failed_starts = 0
        self._last_reason = ""

    def records(self) -> Iterator[RunRecord]:
        """Yield a record per run as it ends.

        Raises:
            ClusterError: no node can run the targets, or no actor comes up.
        """
        while not self._tasks.is_finished:
            if not self._places and self._is_refused_everywhere():
                raise self._nothing_left()
            self._employ()
            if not self._calls:
                raise self._nothing_left()
            call = self._session.wait(list(self._calls), _PATIENCE_SECONDS)
            if call is not None:
                yield from self._calls.pop(call)(call)
            elif not self._places:
                self._say("waiting for the cluster to give this command a CPU")

    def close(self) -> None:
        """End all actors, and with them their workers."""
        self._session.end_all([actor.close.remote for actor in self._places])

    def _nothing_left(self) -> ClusterError:
        return ClusterError(f"no place is left to run anything; the last one: {self._last_reason}")

    def _refused(self) -> frozenset[str]:
        return frozenset(name for name, node in self._nodes.items() if node.refused)

    def _is_refused_everywhere(self) -> bool:
        refused = self._refused()
        return bool(refused) and self._session.nodes <= refused

    def _employ(self) -> None:
        """Ask idle actors, and start others, for what waits to be run and has nobody on the way to it."""
        wanted = self._tasks.waiting_count - len(self._asked)
        while wanted > 0 and self._idle:
            self._ask(self._idle.pop(0))
            wanted -= 1
        wanted -= self._starting + sum(len(node.waiting) for node in self._nodes.values())
        room = self._limit - self._starting - len(self._places)
        if self._failed_starts < _MAX_FAILED_STARTS * self._limit:
            for _ in range(min(wanted, room)):
                self._start()

    def _start(self) -> None:
        actor = self._session.start(
            BootedWorker, extensions(), elsewhere=self._refused(), wants_sources=self._cache is not None
        )
        self._starting += 1
        self._calls[actor.where.remote()] = partial(self._came_up, actor)

    def _came_up(self, actor: Any, call: Any) -> Iterator[RunRecord]:
        self._starting -= 1
        try:
            place: Place = self._session.result(call)
        except LostError as error:
            self._session.end(actor)
            self._start_failed(str(error))
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
        except LostError as error:  # whatever ended it says nothing of the node
            del self._nodes[name]
            for actor in waiting:
                self._dismiss(actor, str(error))
                self._start_failed(str(error))
        except ExhaustersError as error:
            node.refused = str(error)
            host = self._places[waiting[0]].host
            self._say(f"{host}, a node of the cluster, is left out: {error}")
            for actor in waiting:
                self._dismiss(actor, node.refused)
        else:
            self._failed_starts = 0
            self._idle += waiting  # some may have waited for minutes: they are asked first
        yield from ()

    def _start_failed(self, why: str) -> None:
        self._last_reason = why
        self._failed_starts += 1

    def _dismiss(self, actor: Any, why: str) -> None:
        self._last_reason = why
        del self._places[actor]
        for actors in (self._idle, self._asked):
            if actor in actors:
                actors.remove(actor)
        self._session.end(actor)

    def _ask(self, actor: Any) -> None:
        """Find out whether an idle actor is still there: only a run that has begun can be lost."""
        self._asked.append(actor)
        self._calls[actor.where.remote()] = partial(self._answered, actor)

    def _answered(self, actor: Any, call: Any) -> Iterator[RunRecord]:
        if actor not in self._asked:  # dismissed since
            return
        self._asked.remove(actor)
        try:
            self._session.result(call)
        except LostError as error:
            self._gone(actor, str(error))
        else:
            self._feed(actor)
        yield from ()

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
            record = self._tasks.lost(actor, str(error))
            self._gone(actor, str(error))
            if record is not None:
                yield record
            return
        self._tasks.ended(actor)
        self._feed(actor)
        if self._cache is not None and ran.sources is not None:
            with suppress(OSError):  # a full disk costs the cache and not the record
                self._cache.keep(run, ran.record.result, ran.sources)
        yield ran.record

    def _gone(self, actor: Any, why: str) -> None:
        """Do without an actor that is lost, and without those that are idle on its node.

        The node may be gone: what it ran still answers for a second or two, and Ray takes longer to notice.
        """
        place = self._places[actor]
        self._say(f"lost a worker on {place.host}: {why}")
        self._dismiss(actor, why)
        for other in (*self._idle, *self._asked):
            if self._places[other].node == place.node:
                self._dismiss(other, why)
