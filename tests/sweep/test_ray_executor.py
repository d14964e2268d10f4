"""The executor that uses Ray, on a stand-in for Ray and fake hosts: losses, nodes of no use, and the end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import pytest

from exhausters.errors import ClusterError, TargetError, UsageError
from exhausters.sweep import ray_actors, ray_executor, workers
from exhausters.sweep.execute import LocalExecutor
from exhausters.sweep.ray_executor import RayExecutor
from exhausters.sweep.ray_session import LostError
from exhausters.sweep.record import CRASHED, DRAINED
from exhausters.sweep.runner import sweep
from tests.fakes.fake_engine import FakeHost
from tests.sweep.samples import a_grid, a_target


class Call:
    """One call of an actor; it is made when its result is asked for."""

    def __init__(self, name: str, make: Any) -> None:
        self.name, self.make = name, make


class Actor:
    """Calls the body in this process."""

    def __init__(self, body: Any) -> None:
        self.body = body

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.body, name)
        return type("Method", (), {"remote": staticmethod(lambda *args: Call(name, partial(method, *args)))})


class Session:
    """Stands where `RaySession` stands: two CPUs, one node.

    Attributes:
        lost: how many of the next calls of each method find their actor gone.
    """

    cpu_count = 2
    lost: dict[str, int] = {}  # noqa: RUF012  tests fill it
    started: list[Actor] = []  # noqa: RUF012  one list for all

    def __init__(self, address: str | None = None, *, cpus: int | None = None) -> None:
        self.actors: list[Actor] = []

    def start(self, body: Any, *args: Any, node: str | None = None, **keywords: Any) -> Actor:
        self.actors.append(Actor(body(*args, **keywords)))
        Session.started.append(self.actors[-1])
        return self.actors[-1]

    def wait(self, calls: Sequence[Call], seconds: float) -> Call:
        return calls[0]

    def result(self, call: Call) -> Any:
        if Session.lost.get(call.name):
            Session.lost[call.name] -= 1
            raise LostError("its node is gone")
        return call.make()

    def end(self, actor: Actor) -> None:
        self.actors.remove(actor)

    def end_all(self, closing: Sequence[Any]) -> None:
        for call in closing:
            call().make()
        self.actors.clear()

    def close(self) -> None:
        assert self.actors == []


@pytest.fixture(autouse=True)
def _stand_ins(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    FakeHost.made.clear()
    Session.lost, Session.started = {}, []
    monkeypatch.setattr(workers, "Host", FakeHost)
    monkeypatch.setattr(ray_executor, "RaySession", Session)
    monkeypatch.setattr(ray_actors, "_node", lambda: "n1")
    monkeypatch.setattr(ray_actors, "prepare", lambda spec: a_target())
    yield
    FakeHost.made.clear()


def swept(said: list[str] | None = None) -> Any:
    """A sweep of four cells of two engine settings."""
    grid = a_grid(leave_pages=["all", 64], page_size=[8, 16])
    with RayExecutor(2, say=[].append if said is None else said.append) as executor:
        return sweep(a_target(), grid, executor=executor)


def test_records_are_those_of_the_local_executor() -> None:
    """The same records in the same order; the node is prepared once, and every worker is closed."""
    grid = a_grid(leave_pages=["all", 64], page_size=[8, 16])
    here = sweep(a_target(), grid, executor=LocalExecutor(1))
    there = swept()
    assert [(one.cell, one.result.outcome, one.result.log) for one in there] == [
        (one.cell, one.result.outcome, one.result.log) for one in here
    ]
    bodies = [type(actor.body).__name__ for actor in Session.started]
    assert sorted(bodies) == ["BootedWorker", "BootedWorker", "NodeTargets"]
    assert all(host.closed for host in FakeHost.made)


def test_a_lost_run_is_made_again() -> None:
    """After two losses each cell still has its record, and what was lost is told."""
    Session.lost = {"run": 2}
    said: list[str] = []
    assert {one.result.outcome for one in swept(said)} == {DRAINED}
    assert len([text for text in said if "its node is gone" in text]) == 2


def test_a_cell_that_is_always_lost_is_given_up() -> None:
    """When all is lost, each cell has crashed with the reason, and the sweep ends."""
    Session.lost = {"run": 1000}
    records = swept()
    assert len(records) == 4
    assert {one.result.outcome for one in records} == {CRASHED}
    assert all(one.result.reason.startswith("PlaceLostError") for one in records)


def test_a_lost_preparer_is_started_again() -> None:
    """The process that prepares a node ending once costs nothing but time."""
    Session.lost = {"prepare": 1}
    assert {one.result.outcome for one in swept()} == {DRAINED}


@pytest.mark.parametrize("method", ["where", "prepare"])
def test_actors_that_never_come_up_end_the_sweep(method: str) -> None:
    """A cluster that starts nothing is an error with the reason, not a sweep that waits for ever."""
    Session.lost = {method: 1000}
    with pytest.raises(ClusterError, match="its node is gone"):
        swept()


def test_a_node_that_cannot_prepare_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where that was the last node, the error says why."""

    def prepare(spec: Any) -> Any:
        raise TargetError("no such folder here")

    monkeypatch.setattr(ray_actors, "prepare", prepare)
    said: list[str] = []
    with pytest.raises(ClusterError, match="no such folder here"):
        swept(said)
    assert said == ["a node of the cluster is left out: no such folder here"]


@pytest.mark.parametrize("count", [0, 3])
def test_no_more_workers_than_cpus(count: int) -> None:
    """Actors that would wait for a CPU for ever are refused."""
    with pytest.raises(UsageError, match=f"workers={count}"):
        RayExecutor(count)
