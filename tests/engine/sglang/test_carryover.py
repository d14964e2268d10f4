"""Counters of a fake scheduler that would carry over from script to script."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

from exhausters.engine.sglang.carryover import Carryover


class _Slotted:
    """A part that keeps nothing in a dictionary."""

    __slots__ = ("calls",)


def _scheduler(**more: Any) -> Any:
    return SimpleNamespace(
        policy=SimpleNamespace(calls=3, enabled=True, weights=[1], ratio=0.5),
        metrics_reporter=SimpleNamespace(num_tokens=7),
        running_batch=SimpleNamespace(batch_is_full=False),
        processed_tokens_counter=10,
        forward_ct=20,
        max_total_num_tokens=4096,
        **more,
    )


def test_counters_are_put_back() -> None:
    """Integers of the counting parts, and the scheduler's own counters, are as they were at first."""
    scheduler = _scheduler()
    carryover = Carryover(scheduler)
    scheduler.policy.calls = 99
    scheduler.metrics_reporter.num_tokens = 99
    scheduler.processed_tokens_counter = scheduler.forward_ct = 99
    carryover.restore()
    assert scheduler.policy.calls == 3
    assert scheduler.metrics_reporter.num_tokens == 7
    assert (scheduler.processed_tokens_counter, scheduler.forward_ct) == (10, 20)


def test_only_counters_are_put_back() -> None:
    """Switches, fractions, objects and the pool's size are none of its business."""
    scheduler = _scheduler()
    carryover = Carryover(scheduler)
    scheduler.policy.enabled, scheduler.policy.ratio = False, 0.7
    scheduler.policy.weights = [2]
    scheduler.max_total_num_tokens = 1
    carryover.restore()
    assert vars(scheduler.policy) == {"calls": 3, "enabled": False, "weights": [2], "ratio": 0.7}
    assert scheduler.max_total_num_tokens == 1


def test_sessions_are_looked_through_at_once() -> None:
    """When the sessions were looked through last, in an earlier script, makes no difference to this one."""
    scheduler = _scheduler(session_controller=SimpleNamespace(_last_reap_time=0.0))
    carryover = Carryover(scheduler)
    scheduler.session_controller._last_reap_time = 1234.5
    carryover.restore()
    assert scheduler.session_controller._last_reap_time == 0.0


def test_random_numbers_begin_anew() -> None:
    """A policy that draws random numbers draws the same ones in every script."""
    carryover = Carryover(_scheduler())
    drawn = []
    for _ in range(2):
        carryover.restore()
        drawn.append([random.random() for _ in range(3)])
    assert drawn[0] == drawn[1]


def test_releases_without_a_part() -> None:
    """A release that has no such part, or keeps it in slots, has nothing of it to put back."""
    scheduler = _scheduler()
    del scheduler.metrics_reporter, scheduler.forward_ct
    scheduler.policy = _Slotted()
    carryover = Carryover(scheduler)
    scheduler.processed_tokens_counter = 99
    carryover.restore()
    assert scheduler.processed_tokens_counter == 10
    assert not hasattr(scheduler, "forward_ct")
