"""Scripts that run a cell while something goes wrong in the scheduler. Run inside the worker."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

from exhausters.pressure import ScriptedKvPoolExhauster, ScriptedReqRowExhauster
from exhausters.sweep.drain import run_cell
from exhausters.sweep.run_options import RunOptions

Undo = Callable[[], Any]


def _at_step(t: Any, step: int, act: Callable[[], None]) -> Undo:
    """Act in the middle of that step of the measured part; returns what takes the plant out again."""
    scheduler = t.scheduler
    original = scheduler.get_next_batch_to_run
    seen = 0

    def planted(*args: Any, **keywords: Any) -> Any:
        nonlocal seen
        if t.phases is not None:
            seen += 1
            if seen == step + 1:
                act()
        return original(*args, **keywords)

    scheduler.get_next_batch_to_run = planted
    return lambda: vars(scheduler).pop("get_next_batch_to_run")


def _leak_tokens(t: Any) -> Undo:
    """Allocate two pages and forget them."""
    taken = ScriptedKvPoolExhauster(t.engine)
    page_size = t.scheduler.page_size
    taken.exhaust(leave_pages=t.engine_stats()["kv_pool_free"] // page_size - 2)
    return taken.release


def _leak_rows(t: Any) -> Undo:
    """Allocate a row and forget it."""
    taken = ScriptedReqRowExhauster(t.engine)
    taken.exhaust(leave_rows=t.engine_stats()["req_pool_free"] - 1)
    return taken.release


def _free_tokens_twice(t: Any) -> Undo:
    """Free the page that a running request writes to."""
    scheduler = t.scheduler
    allocator = scheduler.token_to_kv_pool_allocator
    kv = next(req for req in scheduler.running_batch.reqs if not req.finished()).kv
    last = kv.kv_allocated_len - 1
    first = last - last % scheduler.page_size
    pages = scheduler.req_to_token_pool.req_to_token[kv.req_pool_idx, first : last + 1]
    allocator.free(pages.to(allocator.free_pages.dtype))
    return lambda: allocator.alloc(scheduler.page_size)


def _free_rows_twice(t: Any) -> Undo:
    """Put the row of a running request into the free list."""
    rows = t.scheduler.req_to_token_pool
    row = next(req for req in t.scheduler.running_batch.reqs if not req.finished()).kv.req_pool_idx
    # In front, where it is given out last: else another request would have it by the end of the step.
    rows.free_slots.insert(0, row)
    return lambda: rows.free_slots.remove(row)


def _leak_window_tokens(t: Any) -> Undo:
    """Take a page of the window pool alone, and forget it."""
    window = t.scheduler.token_to_kv_pool_allocator.swa_attn_allocator
    slots = window.alloc(t.scheduler.page_size)
    return lambda: window.free(slots)


def _free_window_tokens_twice(t: Any) -> Undo:
    """Free a page of the window pool twice."""
    window, page_size = t.scheduler.token_to_kv_pool_allocator.swa_attn_allocator, t.scheduler.page_size
    slots = window.alloc(page_size)
    window.free(slots)
    window.free(slots)
    return lambda: window.alloc(page_size)


_PLANTS = {
    "leak window tokens": _leak_window_tokens,
    "free window tokens twice": _free_window_tokens_twice,
    "leak tokens": _leak_tokens,
    "leak rows": _leak_rows,
    "free tokens twice": _free_tokens_twice,
    "free rows twice": _free_rows_twice,
}


def planted(t: Any, cell: Any, workload: Any, plant: str, step: int, mend: bool) -> Any:
    """Run a cell and plant a mistake in the books of a pool; put it right at the end if asked."""
    undos: list[Undo] = []
    take_out = _at_step(t, step, lambda: undos.append(_PLANTS[plant](t)))
    try:
        return (yield from run_cell(t, cell, workload, RunOptions(count_work=False)))
    finally:
        take_out()
        assert undos, "nothing was planted: the run had ended before"
        if mend:
            undos[0]()


def fails(t: Any, cell: Any, workload: Any, step: int) -> Any:
    """Run a cell whose scheduler raises in that step."""

    def act() -> None:
        raise RuntimeError("planted failure")

    _at_step(t, step, act)
    return (yield from run_cell(t, cell, workload, RunOptions(count_work=False)))


def killed(t: Any, cell: Any, workload: Any, step: int) -> Any:
    """Run a cell whose worker is killed in that step."""
    _at_step(t, step, lambda: os.kill(os.getpid(), signal.SIGKILL))
    return (yield from run_cell(t, cell, workload, RunOptions(count_work=False)))


def strict_checks(t: Any) -> bool:
    """Whether SGLang's own idle check is on, and strict, after a reset."""
    from exhausters.engine.sglang.environment import STRICT_IDLE_CHECK

    return os.environ[STRICT_IDLE_CHECK] == "1"
