"""Whether every waiting request certainly fits, by numbers that are never less than the engine's own."""

from __future__ import annotations

from exhausters.engine.api import MIXED, PREFILL, Demand
from exhausters.observe.step_record import StepRecord
from exhausters.oracles.base import World

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
    if not step.waiting or not step.free_rows or step.chunked_rid is not None:
        return None
    if step.mode in (PREFILL, MIXED) or step.retracted_rids or step.memory_aborts:
        return None
    engine = world.engine
    if engine.chunked_rid() is not None or engine.is_paused():
        return None
    demand = engine.demand()
    wanted = demand.waiting_tokens + demand.reserved_tokens
    fits = wanted < step.free_tokens + step.evictable_tokens
    if world.engine.kv_pool.window_total_tokens is not None:
        fits = fits and wanted < step.window_free_tokens + step.window_evictable_tokens
    return demand if fits and demand.waiting_rid and demand.running < demand.running_limit else None


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
