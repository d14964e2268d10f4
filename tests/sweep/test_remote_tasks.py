"""Runs on places that can be lost: each is made once, in its order, and given up after a few tries."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exhausters.errors import ClusterError, UsageError
from exhausters.sweep.plan import Task, plan_pairs, plan_sweep
from exhausters.sweep.ray_actors import NodeTargets
from exhausters.sweep.record import CRASHED
from exhausters.sweep.remote_tasks import MAX_TRIES, RemoteTasks
from exhausters.sweep.run_options import RunOptions
from tests.sweep.samples import a_grid, a_target

_OPTIONS = RunOptions(count_work=False)


def two_tasks() -> tuple[Task, ...]:
    """Of three runs and of one."""
    tasks = plan_sweep(a_target(), a_grid(leave_pages=["all", 64, 32]), workers=1, options=_OPTIONS)
    (other,) = plan_sweep(a_target(), a_grid(page_size=[8]), workers=1, options=_OPTIONS)
    return (*tasks, other)


def test_the_runs_of_a_task_stay_in_one_place_in_order() -> None:
    """A place is given its own task's runs until it has none left, and none of those that others hold."""
    first, second = two_tasks()
    tasks = RemoteTasks([first, second])
    assert tasks.next_run("b") == first.runs[0]
    assert tasks.next_run("a") == second.runs[0]
    tasks.ended("a")
    assert (tasks.next_run("a"), tasks.waiting_count, tasks.is_finished) == (None, 0, False)
    for run in first.runs:
        assert tasks.next_run("b") == run
        tasks.ended("b")
    assert tasks.is_finished


def test_what_a_lost_place_had_goes_to_the_next() -> None:
    """The run under way and those behind it are made by the place that asks next; those before it are not."""
    first, _ = two_tasks()
    tasks = RemoteTasks([first])
    tasks.next_run("a")
    tasks.ended("a")
    assert tasks.next_run("a") == first.runs[1]
    assert tasks.lost("a", "killed") is None
    assert tasks.waiting_count == 1
    for run in first.runs[1:]:
        assert tasks.next_run("b") == run
        tasks.ended("b")
    assert tasks.is_finished


def test_a_run_that_loses_every_place_gets_a_record_with_the_reason() -> None:
    """After three lost places the cell has crashed, with the last reason, and the rest goes on."""
    first, _ = two_tasks()
    tasks = RemoteTasks([first])
    records = []
    for place in range(MAX_TRIES):
        assert tasks.next_run(place) == first.runs[0]
        records.append(tasks.lost(place, f"node {place} is dead"))
    *none, record = records
    assert none == [None, None]
    assert record is not None
    assert (record.cell, record.target) == (first.runs[0].cell, "release:0.5.23")
    assert record.result.outcome == CRASHED
    assert record.result.reason.startswith("PlaceLostError: lost 3 times")
    assert record.result.reason.endswith("node 2 is dead")
    assert tasks.next_run("b") == first.runs[1]


def test_losses_are_counted_for_each_run_alone() -> None:
    """Places that are lost at different runs of a task give up none of them."""
    first, _ = two_tasks()
    tasks = RemoteTasks([first], max_tries=3)
    for place, run in enumerate(first.runs):
        assert tasks.next_run((place, 0)) == run
        assert tasks.lost((place, 0), "killed") is None
        assert tasks.next_run((place, 1)) == run
        tasks.ended((place, 1))
        if run is not first.runs[-1]:
            assert tasks.lost((place, 1), "killed") is None
    assert tasks.is_finished


def test_a_place_without_a_run_can_be_lost() -> None:
    """A place that has ended all it was given is no loss."""
    tasks = RemoteTasks([two_tasks()[1]])
    tasks.next_run("a")
    tasks.ended("a")
    assert tasks.lost("a", "killed") is None
    assert tasks.is_finished


def test_pairs_are_refused() -> None:
    """Two builds whose host times are held against each other are not sent to machines that differ."""
    pairs = plan_pairs(a_target("0.5.22"), a_target(), a_grid(), rounds=1, options=_OPTIONS)
    with pytest.raises(UsageError, match="run pairs locally"):
        RemoteTasks(pairs)


def test_a_node_with_other_files_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A target that is another build on a node, and a node with another harness, are errors that say so."""
    from exhausters.sweep import ray_actors
    from exhausters.sweep.cache_key import harness_digest

    wanted = a_target()
    found = replace(wanted, source_dirs=())  # where it is may differ
    monkeypatch.setattr(ray_actors, "prepare", lambda spec: found)
    assert NodeTargets().prepare([wanted], harness_digest()) == {wanted.name: found}
    with pytest.raises(ClusterError, match="another version of the harness"):
        NodeTargets().prepare([wanted], "0")
    found = replace(wanted, environment_key="other")
    with pytest.raises(ClusterError, match="environment_key='other'"):
        NodeTargets().prepare([wanted], harness_digest())
