"""Whether every waiting request certainly fits, by numbers that are never less than the engine's own."""

from __future__ import annotations

from dataclasses import dataclass

from exhausters.engine.api import MIXED, PREFILL, Demand
from exhausters.observe.step_record import StepRecord
from exhausters.oracles.base import World
from exhausters.pressure.window_tokens import WindowTokenExhauster

# How long an engine may take from room to admission: a result is processed one step late by the overlap loop;
# the step after it takes the finished request out of the batch once nothing could be admitted any more; the
# step after that admits. These are two steps in which nothing is admitted. A third is for an arrival that is
# received while the batch is full. The fourth breaks the promise.
STEPS_TO_ADMIT = 4


def room_for_all(world: World, step: StepRecord) -> Demand | None:
    """Return what is asked for when all of it fits after a step in which nothing was admitted; else None.

    The largest waiting request must fit, so it does not matter in which order the engine asks them, nor
    whether it goes on behind one that does not fit.
    """
    if not step.waiting or step.chunked_rid is not None or step.mode in (PREFILL, MIXED):
        return None
    room = _room(world, step)
    if not room.rows or step.retracted_rids or step.memory_aborts:
        return None
    engine = world.engine
    if engine.chunked_rid() is not None or engine.is_paused():
        return None
    if engine.least_demand_tokens() >= room.tokens:
        return None
    demand = engine.demand()
    wanted = demand.waiting_tokens + demand.reserved_tokens
    fits = wanted < room.tokens
    if world.engine.kv_pool.window_total_tokens is not None:
        fits = fits and demand.waiting_window_tokens + demand.reserved_window_tokens < room.window_tokens
    return demand if fits and demand.waiting_rid and demand.running < demand.running_limit else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Room:
    """What the engine finds in its next step: rows, and tokens of both pools, evictable ones included."""

    rows: int
    tokens: int
    window_tokens: int


def _room(world: World, step: StepRecord) -> _Room:
    """What is free after a step, less what held pressure takes again before the next."""
    rows, pages = world.pressure.req_rows.held_level, world.pressure.kv_pool.held_level
    window = world.pressure.exhauster(WindowTokenExhauster.level_name).held_level
    is_pinned = world.pressure.lock_refs.held_level is not None
    most = None if pages is None else pages * world.facts.page_size
    return _Room(
        rows=step.free_rows if rows is None else min(step.free_rows, rows),
        tokens=_at_most(step.free_tokens, most) + (0 if is_pinned else step.evictable_tokens),
        window_tokens=_at_most(_at_most(step.window_free_tokens, most), window)
        + (0 if is_pinned else step.window_evictable_tokens),
    )


def _at_most(value: int, most: int | None) -> int:
    return value if most is None else min(value, most)


def room_in_words(step: StepRecord, demand: Demand) -> str:
    """Say what is free and what is asked for, with the numbers."""
    return (
        f"{step.free_rows} rows and {step.free_tokens:,} + {step.evictable_tokens:,} evictable KV tokens are "
        f"free, {demand.waiting_rid} needs at most {demand.waiting_tokens:,}, and {demand.running} of at "
        f"most {demand.running_limit} running requests at most {demand.reserved_tokens:,} more"
    )


def why_unjudged(world: World) -> str:
    """Return why admission cannot be judged on this engine; empty if it can."""
    held_back = world.engine.why_held_back()
    if held_back:
        return f"requests may be held back on purpose: {held_back}"
    if world.facts.window_pool_unchecked:
        return f"the window pool cannot be counted: {world.facts.window_pool_unchecked}"
    return ""
