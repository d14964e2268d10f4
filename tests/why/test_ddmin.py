"""Delta debugging on plain lists."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from exhausters.why.ddmin import ddmin


@given(st.integers(1, 40), st.sets(st.integers(0, 39), min_size=1, max_size=5))
def test_keeps_what_is_needed_and_nothing_else(length: int, wanted: set[int]) -> None:
    """Where a fixed set of items is needed, exactly that set is left, in order."""
    needed = {one for one in wanted if one < length} or {0}
    kept = ddmin(range(length), lambda part: needed <= set(part))
    assert kept == sorted(needed)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=25), st.integers(1, 40))
def test_no_single_item_can_be_left_out(weights: list[int], limit: int) -> None:
    """Where any items of enough weight do, what is left has no item to spare."""

    def holds(part: Sequence[int]) -> bool:
        return sum(part) >= min(limit, sum(weights))

    kept = ddmin(weights, holds)
    assert holds(kept)
    assert len(kept) == 1 or not any(holds(kept[:i] + kept[i + 1 :]) for i in range(len(kept)))
