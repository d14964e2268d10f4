"""The KV exhauster leaves exactly what was asked for, and gives back exactly what it took."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exhausters.errors import AllocationShortError, LevelError, PressureError
from exhausters.pressure import ScriptedKvPoolExhauster
from tests.engine.sglang.shapes import FakeAllocator, FakeHybridAllocator, FakeScheduler, GreedyAllocator


def make(allocator: object, page_size: int = 1) -> ScriptedKvPoolExhauster:
    scheduler = FakeScheduler(token_to_kv_pool_allocator=allocator, page_size=page_size)
    return ScriptedKvPoolExhauster(scheduler.engine)


@given(
    page_count=st.integers(0, 40),
    page_size=st.sampled_from([1, 2, 16, 64]),
    leave_pages=st.lists(st.integers(0, 50), max_size=4),
)
def test_leaves_the_smallest_level_asked_for(page_count: int, page_size: int, leave_pages: list[int]) -> None:
    """However often and in whatever order it is called, the smallest level counts, in whole pages."""
    allocator = FakeAllocator(page_count=page_count, page_size=page_size)
    exhauster = make(allocator, page_size)
    for level in leave_pages:
        exhauster.exhaust(leave_pages=level)
    left = min([page_count, *leave_pages])
    assert allocator.available_size() == left * page_size
    assert (exhauster.held_pages, exhauster.held_tokens) == (
        page_count - left,
        (page_count - left) * page_size,
    )
    exhauster.release()
    assert sorted(allocator.free_pages or []) == list(range(1, page_count + 1))
    assert exhauster.held_tokens == 0


def test_takes_nothing_when_fewer_are_free() -> None:
    """A level above what is free is no request for pages."""
    allocator = FakeAllocator(page_count=3)
    make(allocator).exhaust(leave_pages=4)
    assert allocator.available_size() == 3


def test_releases_newest_first_and_once() -> None:
    """Takings come back in reverse order; a second release does nothing."""
    allocator = FakeAllocator(page_count=6)
    exhauster = make(allocator)
    exhauster.exhaust(leave_pages=4)
    exhauster.exhaust(leave_pages=1)
    exhauster.release()
    exhauster.release()
    assert allocator.freed == [[3, 4, 5], [1, 2]]


def test_short_allocation_names_the_numbers_and_is_given_back() -> None:
    """An allocator that gives less than it reported is an error with wanted, given and available."""
    allocator = GreedyAllocator(page_count=8, page_size=4)
    with pytest.raises(AllocationShortError, match=r"wanted 24 tokens.*gave 20 of 32 available") as caught:
        make(allocator, 4).exhaust(leave_pages=2)
    error = caught.value
    assert (error.wanted_tokens, error.given_tokens, error.available_tokens) == (24, 20, 32)
    assert allocator.available_size() == 32


def test_allocator_that_gives_nothing() -> None:
    """`None` counts as 0 given."""
    allocator = FakeAllocator(page_count=2)
    allocator.missing_tokens = 3
    with pytest.raises(AllocationShortError, match=r"wanted 5 tokens.*gave 0 of 5"):
        make(allocator).exhaust(leave_pages=0)


def test_bad_level_takes_nothing() -> None:
    """A refused level leaves the pool as it was, also in held mode."""
    allocator = FakeAllocator(page_count=3)
    exhauster = make(allocator)
    with pytest.raises(LevelError, match="leave_pages=-3"):
        exhauster.exhaust(leave_pages=-3)
    with pytest.raises(LevelError, match="leave_pages=True"):
        exhauster.hold(True)
    assert allocator.available_size() == 3
    assert exhauster.held_level is None


def test_held_level_is_taken_again_until_release() -> None:
    """Pages that became free are taken at the next step; a pool that fell below the level keeps its own."""
    allocator = FakeAllocator(page_count=10)
    in_use = allocator.alloc(4)
    assert in_use is not None
    exhauster = make(allocator)
    exhauster.hold(2)
    allocator.free(in_use)
    exhauster.reapply()
    assert allocator.available_size() == 2
    allocator.alloc(2)
    exhauster.reapply()
    assert allocator.available_size() == 0
    exhauster.release()
    exhauster.reapply()
    assert allocator.available_size() == 8


def test_one_shot_is_not_taken_again() -> None:
    """`exhaust` takes once: what becomes free later stays free."""
    allocator = FakeAllocator(page_count=4)
    exhauster = make(allocator)
    in_use = allocator.alloc(2)
    assert in_use is not None
    exhauster.exhaust(leave_pages=0)
    allocator.free(in_use)
    exhauster.reapply()
    assert allocator.available_size() == 2


def test_releases_on_the_way_out_of_a_failure() -> None:
    """A script that fails under pressure leaves no pressure behind."""
    allocator = FakeAllocator(page_count=4)

    def script() -> None:
        with make(allocator) as exhauster:
            exhauster.exhaust(leave_pages=0)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        script()
    assert allocator.available_size() == 4


@pytest.mark.parametrize("page_size", [1, 16])
@pytest.mark.parametrize(("full_pages", "window_pages"), [(20, 8), (8, 20), (8, 8)])
def test_hybrid_pools_pay_the_same(page_size: int, full_pages: int, window_pages: int) -> None:
    """Both pools give the same tokens, at page sizes that the allocator's own `alloc` refuses too."""
    allocator = FakeHybridAllocator(full_pages=full_pages, window_pages=window_pages, page_size=page_size)
    exhauster = make(allocator, page_size)
    exhauster.exhaust(leave_pages=3)
    pools = (allocator.full_attn_allocator, allocator.swa_attn_allocator)
    assert allocator.available_size() == 3 * page_size
    assert [pool.size - pool.available_size() for pool in pools] == [5 * page_size] * 2
    assert exhauster.held_pages == 5
    exhauster.release()
    assert [pool.available_size() for pool in pools] == [full_pages * page_size, window_pages * page_size]


def test_short_second_pool_returns_the_first() -> None:
    """When the second pool gives less, the first gets its pages back too."""
    allocator = FakeHybridAllocator(full_pages=8, window_pages=8, page_size=2)
    allocator.swa_attn_allocator.missing_tokens = 4
    allocator.full_attn_allocator.missing_tokens = 0
    allocator.swa_attn_allocator.free_pages = [1]
    with pytest.raises(AllocationShortError, match="wanted 6 tokens"):
        make(allocator, 2).exhaust(leave_pages=0)
    assert allocator.full_attn_allocator.available_size() == 16


def test_shared_buffer_allocator_is_asked_itself() -> None:
    """The hybrid allocator over one buffer serves any page size; its inner pools are not touched."""

    class SharedBuffer(FakeAllocator):
        full_attn_allocator = object()
        swa_attn_allocator = type("Inner", (), {"alloc_with_virtual": None})()

    allocator = SharedBuffer(page_count=5, page_size=4)
    make(allocator, 4).exhaust(leave_pages=1)
    assert allocator.available_size() == 4


def test_release_after_a_flush_is_refused() -> None:
    """Freeing slots that a flush already freed would hand them out twice: an error instead."""
    allocator = FakeAllocator(page_count=4)
    exhauster = make(allocator)
    exhauster.exhaust(leave_pages=1)
    allocator.flush()
    with pytest.raises(PressureError, match="release the pressure before a flush"):
        exhauster.release()
    assert allocator.available_size() == 4
    assert exhauster.held_tokens == 0
