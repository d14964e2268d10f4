"""The row exhauster speaks all three forms of SGLang's row pool."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exhausters.engine.wrap import wrap_calls
from exhausters.errors import AllocationShortError, LevelError
from exhausters.pressure import ScriptedReqRowExhauster
from tests.engine.sglang.shapes import FakeCountingRowPool, FakeNewRowPool, FakeRowPool, FakeScheduler

POOLS = [FakeRowPool, FakeCountingRowPool, FakeNewRowPool]


@pytest.mark.parametrize("pool_type", POOLS)
@given(row_count=st.integers(0, 12), levels=st.lists(st.integers(0, 14), max_size=3))
def test_leaves_the_smallest_level_asked_for(
    pool_type: type[FakeRowPool], row_count: int, levels: list[int]
) -> None:
    """Every form of pool keeps the level, and gets the very rows back."""
    pool = pool_type(row_count=row_count)
    exhauster = ScriptedReqRowExhauster(FakeScheduler(req_to_token_pool=pool).engine)
    for level in levels:
        exhauster.exhaust(leave_rows=level)
    left = min([row_count, *levels])
    assert (pool.available_size(), exhauster.held_rows) == (left, row_count - left)
    exhauster.release()
    exhauster.release()
    assert sorted(pool.free_slots) == list(range(1, row_count + 1))
    assert exhauster.held_rows == 0


def test_rows_survive_a_list_that_was_replaced() -> None:
    """A pool that replaces its list at each allocation still gets its rows back."""
    pool = FakeRowPool(row_count=6)
    exhauster = ScriptedReqRowExhauster(FakeScheduler(req_to_token_pool=pool).engine)
    exhauster.exhaust(leave_rows=3)
    assert pool.alloc([None]) == [1]
    exhauster.release()
    assert sorted(pool.free_slots) == [2, 3, 4, 5, 6]


def test_newer_pools_are_asked_through_their_own_calls() -> None:
    """`alloc_rows` counts generations, which readers rely on; taking from the list would skip that."""
    pool = FakeNewRowPool(row_count=3)
    ScriptedReqRowExhauster(FakeScheduler(req_to_token_pool=pool).engine).exhaust(leave_rows=1)
    assert pool.generations == {3: 1, 2: 1}


def test_all_taking_goes_through_one_point() -> None:
    """What wraps an exhauster's taking point sees every taking: once, held, and again at a step."""
    exhauster = ScriptedReqRowExhauster(FakeScheduler(req_to_token_pool=FakeRowPool(row_count=6)).engine)
    point = exhauster.taking_point()
    levels: list[int] = []
    take_off = wrap_calls(point.owner, point.name, lambda _, level: levels.append(level))
    exhauster.exhaust(leave_rows=5)
    exhauster.take_once(4)
    exhauster.hold(3)
    exhauster.reapply()
    take_off()
    exhauster.exhaust(leave_rows=2)
    assert levels == [5, 4, 3, 3]


def test_short_pool_names_the_numbers() -> None:
    """A pool that reports rows it does not have is an error with wanted, given and available."""
    pool = FakeNewRowPool(row_count=2, missing_rows=2)
    exhauster = ScriptedReqRowExhauster(FakeScheduler(req_to_token_pool=pool).engine)
    with pytest.raises(AllocationShortError, match=r"wanted 4 request rows.*gave 0 of 4 available"):
        exhauster.exhaust(leave_rows=0)
    assert pool.free_slots == [1, 2]


def test_partial_rows_are_given_back() -> None:
    """What a short pool did give returns to it."""

    class Greedy(FakeNewRowPool):
        def alloc_rows(self, need_size: int) -> list[int] | None:
            return super().alloc_rows(need_size - 1)

    pool = Greedy(row_count=4)
    with pytest.raises(AllocationShortError, match="gave 2 of 4"):
        ScriptedReqRowExhauster(FakeScheduler(req_to_token_pool=pool).engine).exhaust(leave_rows=1)
    assert sorted(pool.free_slots) == [1, 2, 3, 4]


def test_list_shorter_than_reported() -> None:
    """The list form, too, is not emptied for an allocation that it cannot serve."""

    class Optimist(FakeRowPool):
        def available_size(self) -> int:
            return 9

    pool = Optimist(row_count=2)
    with pytest.raises(AllocationShortError, match="gave 0 of 9"):
        ScriptedReqRowExhauster(FakeScheduler(req_to_token_pool=pool).engine).exhaust(leave_rows=1)
    assert pool.free_slots == [1, 2]


def test_held_rows_are_taken_again() -> None:
    """Rows of finished requests are taken at the next step."""
    pool = FakeRowPool(row_count=5)
    exhauster = ScriptedReqRowExhauster(FakeScheduler(req_to_token_pool=pool).engine)
    row = pool.alloc([None])
    assert row is not None
    exhauster.hold(1)
    pool.free_slots.extend(row)
    exhauster.reapply()
    assert pool.available_size() == 1


def test_bad_level_is_refused() -> None:
    """The level is named as the caller wrote it."""
    with pytest.raises(LevelError, match=r"leave_rows=1\.5"):
        ScriptedReqRowExhauster(FakeScheduler().engine).exhaust(leave_rows=1.5)  # type: ignore[arg-type]
