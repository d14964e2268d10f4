"""What the scheduler did in a window: slopes of two builds are compared only where it is the same."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

from exhausters.growth.axes import QUEUE, TREE, Point
from exhausters.observe.step_record import DECODE, IDLE, MIXED, PREFILL, StepRecord

# A window that began with 16 waiting requests has 14 when two have just been admitted.
_KEPT_SHARE = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowWork:
    """What was done in the steps of one window.

    Attributes:
        prefill_steps, decode_steps, mixed_steps, idle_steps: steps by the forward batch they had.
        requests: requests in these batches, added up over the steps.
        tokens: tokens computed in them.
        evicted_tokens: tokens that evictions freed.
        least_waiting, most_waiting: requests in the queue after a step.
        least_cached_tokens, most_cached_tokens: tokens in the tree after a step.
    """

    prefill_steps: int
    decode_steps: int
    mixed_steps: int
    idle_steps: int
    requests: int
    tokens: int
    evicted_tokens: int
    least_waiting: int
    most_waiting: int
    least_cached_tokens: int
    most_cached_tokens: int


def work_of(log: Iterable[StepRecord]) -> WindowWork:
    """Return what was done in some steps, one at least."""
    steps = list(log)
    modes = [one.mode for one in steps]
    waiting = [one.waiting for one in steps]
    cached = [one.evictable_tokens + one.protected_tokens for one in steps]
    return WindowWork(
        prefill_steps=modes.count(PREFILL),
        decode_steps=modes.count(DECODE),
        mixed_steps=modes.count(MIXED),
        idle_steps=modes.count(IDLE),
        requests=sum(len(one.rids) for one in steps),
        tokens=sum(sum(one.tokens) for one in steps),
        evicted_tokens=sum(one.evict_given_tokens for one in steps),
        least_waiting=min(waiting),
        most_waiting=max(waiting),
        least_cached_tokens=min(cached),
        most_cached_tokens=max(cached),
    )


def size_not_kept(point: Point, work: WindowWork, *, leaf_tokens: int) -> str:
    """Return in words how the queue or the tree was not of its size during a window; empty where it was.

    Args:
        point: which size was asked for.
        work: what was done.
        leaf_tokens: tokens that each node of the tree was filled with.
    """
    if point.axis == QUEUE:
        what, asked, least, most = "waiting requests", point.size, work.least_waiting, work.most_waiting
    elif point.axis == TREE:
        what, asked = "cached tokens", point.size * leaf_tokens
        least, most = work.least_cached_tokens, work.most_cached_tokens
    else:
        return ""
    if least >= _KEPT_SHARE * asked and most <= asked / _KEPT_SHARE:
        return ""
    return f"{least:,} to {most:,} {what} in the window instead of {asked:,}"


def different_work(base: WindowWork, head: WindowWork) -> str:
    """Return in words what differs in what two windows did; empty where it is the same."""
    return ", ".join(
        f"{one.name.replace('_', ' ')} {ours:,} → {theirs:,}"
        for one in fields(WindowWork)
        if (ours := getattr(base, one.name)) != (theirs := getattr(head, one.name))
    )
