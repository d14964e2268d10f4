"""Scripts on engines with a pool of window tokens or of recurrent states. Run inside the worker."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from exhausters.errors import PressureError
from exhausters.sweep.drain import run_cell


def _pool(t: Any, kind: str) -> Any:
    pool = t.engine.window_pool if kind == "window" else t.engine.mamba_pool
    assert pool is not None, f"this engine has no {kind} pool"
    return pool


def _available(pool: Any) -> int:
    ask = getattr(pool, "available_tokens", None) or pool.available_slots
    return int(ask())


def with_a_loss(t: Any, kind: str, units: int, *arguments: Any) -> Generator[None, None, Any]:
    """Run a cell while units of a pool are taken and nobody says so."""
    pool = _pool(t, kind)
    # SGLang's own idle check would find it too, and end the worker.
    t.tolerate_unbalanced()
    taking = pool.take(units)
    try:
        return (yield from run_cell(t, *arguments))
    finally:
        pool.give_back(taking)


def without_state_copies(t: Any, *arguments: Any) -> Generator[None, None, Any]:
    """Run a cell while cached states are not copied to the requests that hit them."""
    states = t.scheduler.req_to_token_pool.mamba_pool
    states.copy_from = lambda *_arguments, **_keywords: None
    try:
        return (yield from run_cell(t, *arguments))
    finally:
        del states.copy_from


def held_level(t: Any, kind: str, name: str, level: int) -> Generator[None, None, dict[str, Any]]:
    """Requests one after another while a level is held; what was left at each step, and in the end."""
    pool = _pool(t, kind)
    before, left = _available(pool), []
    t.exhaust(held=True, **{name: level})
    for index in range(4):
        one = t.start_req(prompt_len=96, max_new_tokens=4, prompt_token=20 + index)
        while not one.finished:
            left.append(_available(pool))
            yield
    while not t.is_fully_idle:
        yield
    held = dict(t.pressure.holdings())
    t.release_pressure()
    after = _available(pool)
    t.flush_cache()
    yield
    return {"left": left, "held": held, "after": after, "before": before, "flushed": _available(pool)}


def flushed_while_held(t: Any, kind: str, name: str) -> Generator[None, None, str]:
    """Flush the cache while units are held, then give them back; return what that says."""
    t.exhaust(**{name: 16})
    t.flush_cache()
    yield
    try:
        t.pressure.release()
    except PressureError as error:
        return str(error)
    return "nothing"
