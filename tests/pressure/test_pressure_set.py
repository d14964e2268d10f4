"""The set takes all levels or none, and gives everything back in reverse order, exactly once."""

from __future__ import annotations

import pytest

from exhausters.errors import AllocationShortError, PressureError
from exhausters.pressure import PressureHoldings, PressureLevels, PressureSet
from exhausters.pressure.base import Exhauster
from tests.engine.sglang.shapes import FakeAllocator, FakeRowPool, FakeScheduler, random_tree

NOTHING = PressureHoldings(
    held_tokens=0,
    held_pages=0,
    pinned_nodes=0,
    pinned_tokens=0,
    held_rows=0,
    held_host_tokens=0,
    held_window_tokens=0,
    held_mamba_slots=0,
    held_lora_slots=0,
    held_prealloc_slots=0,
)


def make_scheduler() -> FakeScheduler:
    return FakeScheduler(
        page_size=4,
        tree_cache=random_tree(10, seed=1),
        token_to_kv_pool_allocator=FakeAllocator(page_count=16, page_size=4),
        req_to_token_pool=FakeRowPool(row_count=8),
    )


def test_applies_every_level_and_reports_it() -> None:
    """One call takes pages, nodes and rows; the holdings say how much in every unit."""
    scheduler = make_scheduler()
    with PressureSet(scheduler.engine) as pressure:
        pressure.apply(PressureLevels(leave_pages=3, leave_refs=0, leave_rows=2))
        assert pressure.holdings() == PressureHoldings(
            held_tokens=52,
            held_pages=13,
            pinned_nodes=10,
            pinned_tokens=sum(len(node.key) for node in scheduler.tree_cache.nodes.values()),
            held_rows=6,
            held_host_tokens=0,
            held_window_tokens=0,
            held_mamba_slots=0,
            held_lora_slots=0,
            held_prealloc_slots=0,
        )
    assert pressure.holdings() == NOTHING
    assert scheduler.token_to_kv_pool_allocator.available_size() == 64
    assert scheduler.req_to_token_pool.available_size() == 8
    assert set(scheduler.tree_cache.locks().values()) == {0}


def test_levels_not_given_are_left_alone() -> None:
    """No level, no call: the tree is not even walked."""
    scheduler = make_scheduler()
    pressure = PressureSet(scheduler.engine)
    pressure.apply(PressureLevels(leave_rows=1))
    assert (pressure.holdings().held_rows, scheduler.tree_cache.node_visits) == (7, 0)


def test_held_levels_come_back_at_each_step() -> None:
    """Held pressure is taken again by `reapply` until release; one-shot pressure is not."""
    scheduler = make_scheduler()
    pool = scheduler.req_to_token_pool
    row = pool.alloc([None])
    pressure = PressureSet(scheduler.engine)
    pressure.apply(PressureLevels(leave_rows=2, held=True))
    pool.free_slots.extend(row)
    pressure.reapply()
    assert pool.available_size() == 2
    pressure.release()
    pressure.reapply()
    assert pool.available_size() == 8
    pressure.apply(PressureLevels(leave_rows=7))
    pool.free_slots.append(99)
    pressure.reapply()
    assert pool.available_size() == 8


def test_a_level_that_cannot_be_taken_releases_the_others() -> None:
    """All or nothing: no half-applied pressure remains."""
    scheduler = make_scheduler()
    scheduler.token_to_kv_pool_allocator.missing_tokens = 8
    pressure = PressureSet(scheduler.engine)
    with pytest.raises(AllocationShortError):
        pressure.apply(PressureLevels(leave_pages=0, leave_refs=0, leave_rows=0, held=True))
    assert pressure.holdings() == NOTHING
    pressure.reapply()
    assert pressure.holdings() == NOTHING


def test_releases_in_reverse_order_and_each_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even when one release fails, the others are made, and the failure is told afterwards."""
    scheduler = make_scheduler()
    pressure = PressureSet(scheduler.engine)
    pressure.apply(PressureLevels(leave_pages=0, leave_refs=0, leave_rows=0))
    order: list[str] = []
    original = Exhauster.release

    def spy(self: Exhauster) -> None:
        order.append(self.level_name)
        original(self)

    monkeypatch.setattr(Exhauster, "release", spy)
    scheduler.token_to_kv_pool_allocator.fails_to_free = True
    with pytest.raises(PressureError, match=r"releasing pressure failed 1 time.*free failed"):
        pressure.release()
    assert order == [
        "leave_window_tokens",
        "leave_prealloc_slots",
        "leave_lora_slots",
        "leave_mamba_slots",
        "leave_host_pages",
        "leave_rows",
        "leave_pages",
        "leave_refs",
    ]
    assert scheduler.req_to_token_pool.available_size() == 8
    assert set(scheduler.tree_cache.locks().values()) == {0}
    pressure.release()
    assert len(scheduler.tree_cache.released) == len(scheduler.tree_cache.pins)


def test_a_failing_script_is_still_released() -> None:
    """Leaving the block by an exception gives everything back."""
    scheduler = make_scheduler()

    def script() -> None:
        with PressureSet(scheduler.engine) as pressure:
            pressure.apply(PressureLevels(leave_pages=1, held=True))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        script()
    assert scheduler.token_to_kv_pool_allocator.available_size() == 64
