"""Stands where `RaySession` stands: a cluster of nodes that can be lost, whose actors run in this process."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import pytest

from exhausters.sweep import ray_actors, ray_executor
from exhausters.sweep.ray_session import LostError

_GONE = "its node is gone"


class Call:
    """A call of an actor; it is made when its result is asked for."""

    def __init__(self, actor: Actor, name: str, args: Sequence[Any]) -> None:
        self.actor, self.name, self.args = actor, name, args


class Actor:
    """A body, and where it is once there was a CPU for it.

    Attributes:
        kind: name of the body's class.
        node: where it is; None while it waits for a CPU.
        is_dead: its process has ended.
    """

    def __init__(
        self, kind: type, make: Callable[[], Any], node: str | None, elsewhere: Collection[str]
    ) -> None:
        self.kind, self.make, self.elsewhere = kind.__name__, make, elsewhere
        self.node, self.is_dead = node, False
        self.cpus = 0 if node else 1
        self.body: Any = None

    def __getattr__(self, name: str) -> Any:
        return type("Method", (), {"remote": staticmethod(lambda *args: Call(self, name, args))})


class FakeRay:
    """A cluster, and the one session that is connected to it.

    Attributes:
        cpus: of each node that is there.
        started: all actors, oldest first.
        actors: those that have not been ended.
        calls: node, and name of the call, of all that were made.
        lost: how many of the next calls of each method find that their actor has died.
        lingering: after the loss of a node, how many calls to its actors are answered nevertheless.
        under_way: the calls that are waited for.
        on_call: is told of each call just before it is made.
    """

    def __init__(self, **cpus: int) -> None:
        self.cpus = cpus
        self.started: list[Actor] = []
        self.actors: list[Actor] = []
        self.calls: list[tuple[str, str]] = []
        self.lost: dict[str, int] = {}
        self.lingering = 0
        self.under_way: Sequence[Call] = ()
        self.on_call: Callable[[Call], None] = lambda call: None
        self._here = ""

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Have every `RayExecutor` connect to this cluster, and its actors see their node."""
        monkeypatch.setattr(ray_executor, "RaySession", self.connect)
        monkeypatch.setattr(ray_actors, "_node", lambda: self._here)

    def connect(self, address: str | None = None, *, cpus: int | None = None) -> FakeRay:
        return self

    @property
    def here(self) -> str:
        """The node on which a call is being made."""
        return self._here

    @property
    def cpu_count(self) -> int:
        return sum(self.cpus.values())

    @property
    def nodes(self) -> frozenset[str]:
        return frozenset(self.cpus)

    def start(
        self,
        body: Any,
        *args: Any,
        node: str | None = None,
        elsewhere: Collection[str] = (),
        **keywords: Any,
    ) -> Actor:
        actor = Actor(body, lambda: body(*args, **keywords), node, elsewhere)
        self.started.append(actor)
        self.actors.append(actor)
        return actor

    def wait(self, calls: Sequence[Call], seconds: float) -> Call:
        """The oldest call that can be made; a test in which there is none would wait for ever."""
        self.under_way = calls
        for actor in self.actors:
            self._place(actor)
        return next(call for call in calls if call.actor.node is not None or call.actor.is_dead)

    def result(self, call: Call) -> Any:
        assert call.actor.node is not None
        self.on_call(call)
        if not call.actor.is_dead and self.lost.get(call.name):
            self.lost[call.name] -= 1
            call.actor.is_dead = True
        if self._is_lost(call.actor):
            raise LostError(_GONE)
        self._here = call.actor.node
        self.calls.append((self._here, call.name))
        if call.actor.body is None:
            call.actor.body = call.actor.make()
        return getattr(call.actor.body, call.name)(*call.args)

    def end(self, actor: Actor) -> None:
        self.actors.remove(actor)
        actor.is_dead = True
        if actor.node is None:
            actor.node = "nowhere"

    def end_all(self, closing: Sequence[Any]) -> None:
        for call in [make() for make in closing]:
            if not self._is_lost(call.actor):
                self.result(call)
        self.actors.clear()

    def close(self) -> None:
        assert self.actors == []

    def _is_lost(self, actor: Actor) -> bool:
        if actor.is_dead:
            return True
        if actor.node in self.cpus:
            return False
        self.lingering -= 1
        return self.lingering < 0

    def _place(self, actor: Actor) -> None:
        """Put an actor that waits onto the node with most free CPUs, as Ray spreads them."""
        if actor.node is not None:
            return
        free = {name: count for name, count in self.cpus.items() if name not in actor.elsewhere}
        for other in self.actors:
            if other.node in free:
                free[other.node] -= other.cpus
        if free and max(free.values()) > 0:
            actor.node = max(free, key=free.__getitem__)
