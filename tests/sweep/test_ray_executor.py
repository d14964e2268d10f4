"""The executor that uses Ray, on a stand-in for Ray and fake hosts: losses, nodes of no use, and the end."""

from __future__ import annotations

from collections.abc import Iterator
from socket import gethostname
from typing import Any

import pytest

from exhausters.errors import ClusterError, TargetError, UsageError
from exhausters.sweep import ray_actors, workers
from exhausters.sweep.execute import LocalExecutor
from exhausters.sweep.ray_executor import RayExecutor
from exhausters.sweep.record import CRASHED, DRAINED
from exhausters.sweep.runner import sweep
from tests.fakes.fake_engine import FakeHost
from tests.fakes.fake_ray import FakeRay
from tests.sweep.samples import a_grid, a_target


@pytest.fixture(name="ray", autouse=True)
def _ray(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeRay]:
    """A cluster of one node with two CPUs, unless a test adds to it."""
    FakeHost.made.clear()
    monkeypatch.setattr(workers, "Host", FakeHost)
    monkeypatch.setattr(ray_actors, "prepare", lambda spec: a_target())
    ray = FakeRay(n1=2)
    ray.install(monkeypatch)
    yield ray
    FakeHost.made.clear()


def swept(said: list[str] | None = None) -> Any:
    """A sweep of four cells of two engine settings."""
    grid = a_grid(leave_pages=["all", 64], page_size=[8, 16])
    with RayExecutor(2, say=[].append if said is None else said.append) as executor:
        return sweep(a_target(), grid, executor=executor)


def test_records_are_those_of_the_local_executor(ray: FakeRay) -> None:
    """The same records in the same order; the node is prepared once, and every worker is closed."""
    grid = a_grid(leave_pages=["all", 64], page_size=[8, 16])
    here = sweep(a_target(), grid, executor=LocalExecutor(1))
    there = swept()
    assert [(one.cell, one.result.outcome, one.result.log) for one in there] == [
        (one.cell, one.result.outcome, one.result.log) for one in here
    ]
    assert sorted(actor.kind for actor in ray.started) == ["BootedWorker", "BootedWorker", "NodeTargets"]
    assert all(host.closed for host in FakeHost.made)


def test_a_lost_run_is_made_again(ray: FakeRay) -> None:
    """After two losses each cell still has its record, and what was lost is told."""
    ray.lost = {"run": 2}
    said: list[str] = []
    assert {one.result.outcome for one in swept(said)} == {DRAINED}
    assert len([text for text in said if "its node is gone" in text]) == 2


def test_a_cell_that_is_always_lost_is_given_up(ray: FakeRay) -> None:
    """When all is lost, each cell has crashed with the reason, and the sweep ends."""
    ray.lost = {"run": 1000}
    records = swept()
    assert len(records) == 4
    assert {one.result.outcome for one in records} == {CRASHED}
    assert all(one.result.reason.startswith("PlaceLostError") for one in records)


def test_a_lost_preparer_is_started_again(ray: FakeRay) -> None:
    """The process that prepares a node ending once costs nothing but time."""
    ray.lost = {"prepare": 1}
    assert {one.result.outcome for one in swept()} == {DRAINED}


@pytest.mark.parametrize("method", ["where", "prepare"])
def test_actors_that_never_come_up_end_the_sweep(ray: FakeRay, method: str) -> None:
    """A cluster that starts nothing is an error with the reason, not a sweep that waits for ever."""
    ray.lost = {method: 1000}
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
    assert said == [f"{gethostname()}, a node of the cluster, is left out: no such folder here"]


@pytest.mark.parametrize("count", [0, 3])
def test_no_more_workers_than_cpus(count: int) -> None:
    """Actors that would wait for a CPU for ever are refused."""
    with pytest.raises(UsageError, match=f"workers={count}"):
        RayExecutor(count)
