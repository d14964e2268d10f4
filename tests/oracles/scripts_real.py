"""Scripts that break promises in the real scheduler, from outside. Run inside the worker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from exhausters.sweep.drain import run_cell
from exhausters.sweep.run_options import CHECKED, IN_ROUNDS, RunOptions

Undo = Callable[[], Any]


def _before_each_batch(t: Any, act: Callable[[int], None]) -> Undo:
    """Call `act(number)` before each batch of the measured part is formed; returns what ends that."""
    scheduler = t.scheduler
    original = scheduler.get_next_batch_to_run
    seen = 0

    def planted(*args: Any, **keywords: Any) -> Any:
        nonlocal seen
        if t.phases is not None:
            act(seen)
            seen += 1
        return original(*args, **keywords)

    scheduler.get_next_batch_to_run = planted
    return lambda: vars(scheduler).pop("get_next_batch_to_run")


def _keep_the_mark(t: Any) -> Undo:
    """Mark the running batch as full from step 20 to 60, whoever takes the mark off."""

    def act(number: int) -> None:
        running = t.scheduler.running_batch
        if 20 <= number < 60 and running.reqs:
            running.batch_is_full = True

    return _before_each_batch(t, act)


def _keep_a_lock(t: Any) -> Undo:
    """Lock the node of a running request once more in step 30, and forget it."""
    tree = t.scheduler.tree_cache
    locked: list[tuple[Any, Any]] = []

    def act(number: int) -> None:
        if number == 30:
            req = next(one for one in t.scheduler.running_batch.reqs if not one.finished())
            locked.append((req.last_node, tree.inc_lock_ref(req.last_node)))

    undo = _before_each_batch(t, act)

    def end() -> None:
        undo()
        assert locked, "nothing was planted: the run had ended before"
        node, result = locked[0]
        tree.dec_lock_ref(node, result.to_dec_params())

    return end


def _admit_nobody(t: Any) -> Undo:
    """Form no prefill batch from step 20 to 60; the running batch is not marked."""
    scheduler = t.scheduler
    original = scheduler.get_new_batch_prefill
    number = [0]

    def act(step: int) -> None:
        number[0] = step

    undo = _before_each_batch(t, act)

    def refused(running_batch: Any) -> Any:
        if 20 <= number[0] < 60 and scheduler.chunked_req is None and running_batch.reqs:
            queue, scheduler.waiting_queue = scheduler.waiting_queue, []
            try:
                return original(running_batch)
            finally:
                scheduler.waiting_queue = queue
        return original(running_batch)

    scheduler.get_new_batch_prefill = refused

    def end() -> None:
        undo()
        vars(scheduler).pop("get_new_batch_prefill")

    return end


def _lose_a_page(t: Any) -> Undo:
    """Take a page from the allocator in step 30, and forget it."""
    allocator = t.scheduler.token_to_kv_pool_allocator

    def act(number: int) -> None:
        if number == 30:
            allocator.alloc(t.scheduler.page_size)

    return _before_each_batch(t, act)


def _let_the_last_go_first(t: Any) -> Undo:
    """Turn the waiting queue round before each batch is formed."""
    return _before_each_batch(t, lambda _: t.scheduler.waiting_queue.reverse())


_PLANTS = {
    "mark": _keep_the_mark,
    "lock": _keep_a_lock,
    "admission": _admit_nobody,
    "page": _lose_a_page,
    "order": _let_the_last_go_first,
}


def forgetful(t: Any, cell: Any, workload: Any) -> Any:
    """Run a cell in rounds on a scheduler that keeps the id of every request it has admitted."""
    scheduler = t.scheduler
    scheduler.rids_kept = kept = set()
    original = scheduler.process_batch_result

    def noted(batch: Any, *args: Any, **keywords: Any) -> Any:
        kept.update(req.rid for req in batch.reqs)
        return original(batch, *args, **keywords)

    scheduler.process_batch_result = noted
    try:
        return (yield from run_cell(t, cell, workload, RunOptions(passes=(IN_ROUNDS,))))
    finally:
        vars(scheduler).pop("process_batch_result")
        del scheduler.rids_kept


def planted(t: Any, cell: Any, workload: Any, plant: str) -> Any:
    """Run a checked cell with something planted; it is taken out again."""
    undo = _PLANTS[plant](t)
    try:
        return (yield from run_cell(t, cell, workload, RunOptions(passes=(CHECKED,))))
    finally:
        undo()
