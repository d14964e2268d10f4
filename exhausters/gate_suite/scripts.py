"""Scripts of the suite, run inside the worker. They time themselves, in CPU time of its thread."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any

from exhausters.engine.api import EVICT, MethodPoint
from exhausters.engine.clock import real_thread_time_ns
from exhausters.engine.wrap import wrap
from exhausters.errors import ScriptFailedError
from exhausters.scripted.context import ScriptedContext
from exhausters.sweep.cell import Cell
from exhausters.sweep.drain import run_cell
from exhausters.sweep.record import CellResult
from exhausters.sweep.run_options import RunOptions
from exhausters.workloads import Workload

# Two pages of 16: a leaf of its own, and the end of the prompt is never the end of a page.
LEAF_TOKENS = 32
# What one eviction run makes room for.
EVICTED_TOKENS = 256
_FREE_PAGES = 2
_MAX_STEPS = 5_000
# Prompts of one script share no token with each other.
_FIRST_TOKEN = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedCell:
    """One run of a cell.

    Attributes:
        result: what the sweep would have recorded.
        pin_seconds: CPU seconds of taking `leave_refs`, once or, where it is held, at every step.
    """

    result: CellResult
    pin_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """One call that was timed, or several.

    Attributes:
        seconds: CPU seconds of all calls.
        facts: what was done in them; exact.
    """

    seconds: float
    facts: dict[str, int] = field(default_factory=dict)


def time_cell(
    context: ScriptedContext, cell: Cell, workload: Workload, options: RunOptions
) -> Generator[None, None, TimedCell]:
    """Run a cell as a sweep does, and time its pinning."""
    watch = _watch_point(context.pressure.lock_refs.taking_point())
    try:
        result = yield from run_cell(context, cell, workload, options)
    finally:
        watch.remove()
    return TimedCell(result=result, pin_seconds=watch.seconds)


def time_pinning(context: ScriptedContext, leaves: int) -> Generator[None, None, Timed]:
    """Fill the tree with `leaves` leaves and time the exhauster that pins all of them."""
    yield from _grow(context, leaves)
    watch = _watch_point(context.pressure.lock_refs.taking_point())
    try:
        context.exhaust_lock_refs(leave_refs=0)
        pinned = context.pressure.lock_refs.pinned_nodes
    finally:
        watch.remove()
    context.release_pressure()
    return Timed(seconds=watch.seconds, facts={"pinned_nodes": pinned, "calls": watch.calls})


def time_matching(context: ScriptedContext, tokens: int) -> Generator[None, None, Timed]:
    """Submit a prompt of `tokens` tokens twice, and time what the scheduler matches the second time."""
    prompt = [_FIRST_TOKEN + index for index in range(tokens)]
    yield from _run(context, prompt, rid="first")
    watch = _watch_point(context.engine.matching_point())
    try:
        yield from _run(context, prompt, rid="second")
    finally:
        watch.remove()
    return Timed(seconds=watch.seconds, facts={"calls": watch.calls})


def time_evicting(context: ScriptedContext, leaves: int) -> Generator[None, None, Timed]:
    """Fill the tree with `leaves` leaves, take all free pages, and time what makes room for one prompt."""
    yield from _grow(context, leaves)
    context.exhaust_kv(leave_pages=_FREE_PAGES)
    before = context.engine.tree.evictable_tokens() or 0
    (eviction,) = [point for point in context.engine.phase_points() if point.phase == EVICT]
    watch = _watch_point(eviction)
    try:
        yield from _run(context, [_FIRST_TOKEN - 1] * EVICTED_TOKENS, rid="asks")
    finally:
        watch.remove()
    context.release_pressure()
    return Timed(seconds=watch.seconds, facts={"calls": watch.calls, "evictable_tokens": before})


class _Watch:
    """Adds up the CPU time of one method, its outermost calls only."""

    def __init__(self, owner: Any, name: str) -> None:
        self.calls = 0
        self._spent_ns = 0
        self._depth = 0
        self._take_off = wrap(owner, name, self._timed)

    @property
    def seconds(self) -> float:
        return self._spent_ns / 1e9

    def remove(self) -> None:
        self._take_off()

    def _timed(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **keywords: Any) -> Any:
            if self._depth:
                return original(*args, **keywords)
            self._depth += 1
            self.calls += 1
            started_ns = real_thread_time_ns()
            try:
                return original(*args, **keywords)
            finally:
                self._spent_ns += real_thread_time_ns() - started_ns
                self._depth -= 1

        return timed


def _watch_point(point: MethodPoint) -> _Watch:
    return _Watch(point.owner, point.name)


def _grow(context: ScriptedContext, leaves: int) -> Generator[None, None, None]:
    """Leave `leaves` prompts in the tree, none of which shares a page with another."""
    for leaf in range(leaves):
        first = _FIRST_TOKEN + leaf * LEAF_TOKENS
        context.submit(
            array("q", range(first, first + LEAF_TOKENS)), rid=f"leaf-{leaf}", sampling=_sampling()
        )
    yield from _drain(context)


def _run(context: ScriptedContext, prompt: list[int], *, rid: str) -> Generator[None, None, None]:
    context.submit(prompt, rid=rid, sampling=_sampling())
    yield from _drain(context)


def _drain(context: ScriptedContext) -> Generator[None, None, None]:
    for _ in range(_MAX_STEPS):
        yield
        if context.is_fully_idle and not context.has_unreceived:
            return
    raise ScriptFailedError(f"not drained within {_MAX_STEPS} steps")


def _sampling() -> dict[str, Any]:
    return {"max_new_tokens": 1, "ignore_eos": True, "temperature": 0.0}
