"""The local executor: every planned run is a record, and nothing is left however it ends. On fake hosts."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from exhausters.errors import SchedulerFailedError, WorkerHungError
from exhausters.sweep import workers
from exhausters.sweep.execute import Executor, LocalExecutor
from exhausters.sweep.plan import Task, plan_pairs, plan_sweep
from exhausters.sweep.record import CRASHED, DRAINED, TIMEOUT, RunRecord
from exhausters.sweep.run_options import RunOptions
from tests.fakes.fake_engine import FakeHost
from tests.sweep.samples import a_grid, a_target

_OPTIONS = RunOptions(count_work=False)


@pytest.fixture(autouse=True)
def _fake_hosts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Boot fakes."""
    FakeHost.made.clear()
    monkeypatch.setattr(workers, "Host", FakeHost)
    yield
    FakeHost.made.clear()


def sweep_tasks(*, workers: int = 1, **axes: Any) -> tuple[Task, ...]:
    return plan_sweep(a_target(), a_grid(**axes), workers=workers, options=_OPTIONS)


def test_tasks_and_records_travel() -> None:
    """What goes to an executor and what comes back can be pickled and is equal afterwards."""
    tasks = sweep_tasks(leave_pages=["all", 64])
    assert pickle.loads(pickle.dumps(tasks)) == tasks
    records = list(LocalExecutor(1).run(tasks))
    assert pickle.loads(pickle.dumps(records)) == records
    facts = records[0].result.facts
    assert facts is not None
    assert not facts.sequences  # the largest part by far, and known from the workload
    assert set(facts.arrival_ns) == set(facts.submitted_steps) == set(facts.wanted_outputs)


def test_a_record_comes_when_its_run_ends() -> None:
    """The first record is there before the second run has begun."""
    (task,) = sweep_tasks(leave_pages=["all", 64, 32])
    ended = LocalExecutor(1).run([task])
    begun: list[int] = []
    for _ in ended:
        begun.append(FakeHost.made[0].run_count)
    assert begun[-1] == 3
    assert begun == sorted(begun)


def test_warm_ups_are_made_and_not_recorded() -> None:
    """A run that is planned as a warm-up runs and gives no record."""
    (task,) = sweep_tasks(leave_pages=["all", 64])
    first, second = task.runs
    records = list(LocalExecutor(1).run([Task(runs=(replace(first, is_warm_up=True), second))]))
    assert [record.cell for record in records] == [second.cell]
    assert FakeHost.made[0].run_count == 2


def test_a_consumer_that_stops_leaves_nothing() -> None:
    """When nobody wants more records, what is running is stopped and every worker is closed."""
    tasks = sweep_tasks(leave_pages=["all", 64, 32], page_size=[8, 16])
    ended = LocalExecutor(2).run(tasks)
    next(ended)
    ended.close()
    assert all(host.closed for host in FakeHost.made)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("task")]


def test_an_error_of_the_consumer_leaves_nothing() -> None:
    """So does a consumer that fails."""
    tasks = sweep_tasks(leave_pages=["all", 64])

    def consume() -> None:
        for _ in LocalExecutor(1).run(tasks):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        consume()
    assert all(host.closed for host in FakeHost.made)


def test_an_interrupt_stops_a_run_that_goes_on_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run under way in another thread ends at once, because its worker is killed."""
    running = threading.Event()

    def on_run(args: tuple[Any, ...]) -> None:
        if args[0].levels.leave_pages == 64:
            host = FakeHost.made[0]
            running.set()
            while not host.interrupted:  # as a worker that answers nothing until it is killed
                assert not FakeHost.made[0].closed
            raise SchedulerFailedError("killed")

    monkeypatch.setattr(FakeHost, "on_run", staticmethod(on_run))
    ended = LocalExecutor(1).run(sweep_tasks(leave_pages=["all", 64, 32]))
    next(ended)
    assert running.wait(30)
    ended.close()
    (host,) = FakeHost.made
    assert (host.run_count, host.closed) == (2, True)


def test_failed_runs_keep_what_was_known_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a killed worker's steps the metrics use page size, chunk budget and prompts; times stay unknown."""
    tasks = sweep_tasks(workload=["shared_prefix"], leave_pages=[80])
    (whole,) = LocalExecutor(1).run(tasks)
    salvaged = whole.result.log.steps

    def on_run(args: tuple[Any, ...]) -> None:
        raise WorkerHungError("no answer", salvaged=salvaged)

    monkeypatch.setattr(FakeHost, "on_run", staticmethod(on_run))
    failed = next(LocalExecutor(1).run(tasks)).result
    assert failed.outcome == TIMEOUT
    booted = ("sglang_version", "tree_cache", "engine_notes", "clock")
    assert {name: failed.provenance[name] for name in booted} == {
        name: whole.result.provenance[name] for name in booted
    }
    assert failed.log == whole.result.log
    same = {name for name, value in failed.metrics.items() if whole.result.metrics[name] == value}
    assert {"prefill_fill", "recomputed_tokens", "recompute_tax", "output_tokens"} <= same
    assert whole.result.metrics["recomputed_tokens"] > 0
    assert {failed.metrics[name] for name in ("wait_steps_p50", "goodput_share")} == {None}
    assert failed.facts is not None
    assert whole.result.facts is not None
    assert failed.facts == replace(whole.result.facts, submitted_steps={}, arrival_ns={})


class OneByOne:
    """Another executor: sends everything through pickle, and makes each task by itself."""

    workers = 3

    def run(self, tasks: Any) -> Any:
        for task in reversed(pickle.loads(pickle.dumps(tasks))):
            for record in LocalExecutor(1).run([task]):
                yield pickle.loads(pickle.dumps(record))


def test_another_executor_stands_behind_the_same_protocol() -> None:
    """Sweeps and pairs give the same decisions whatever makes their runs, in whatever order."""
    from exhausters.sweep.pairs import run_pairs
    from exhausters.sweep.runner import sweep

    def decisions(records: Any) -> list[Any]:
        return [(one.cell, one.target, one.round, one.result.log.digest) for one in records]

    other: Executor = OneByOne()
    grid = a_grid(leave_pages=["all", 64], page_size=[8, 16])
    assert decisions(sweep(a_target(), grid, executor=other)) == decisions(sweep(a_target(), grid))
    sides = (a_target("0.5.22"), a_target())
    there = run_pairs(*sides, grid, rounds=1, executor=other)
    here = run_pairs(*sides, grid, rounds=1)
    assert sorted(decisions(there), key=str) == sorted(decisions(here), key=str)


def test_pairs_side_by_side_have_both_builds_booted() -> None:
    """Each place holds both builds of its task: two tasks on two threads boot both once a round."""
    grid = a_grid(leave_pages=["all", 64], page_size=[8, 16])
    tasks = plan_pairs(a_target("0.5.22"), a_target(), grid, rounds=3, options=_OPTIONS)
    records: list[RunRecord] = list(LocalExecutor(2).run(tasks))
    assert len(records) == 2 * 2 * 3 * 2
    assert {record.result.outcome for record in records} == {DRAINED}
    assert len(FakeHost.made) == 2 * 2 * 3
    assert CRASHED not in {record.result.outcome for record in records}
