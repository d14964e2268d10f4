"""The fakes keep the rules of what they stand for; a fake that lies would prove nothing."""

from __future__ import annotations

import pytest

from tests.engine.sglang.handle_tree_shapes import FakeHandleCache
from tests.engine.sglang.shapes import (
    FakeAllocator,
    FakeCountingRowPool,
    FakeHybridAllocator,
    FakeNewRowPool,
    FakeRowPool,
    FakeTree,
    FakeWindowedTree,
    GreedyAllocator,
    Slots,
    random_tree,
)
from tests.pressure.naive_lock_refs import NaiveLockRefExhauster


def test_paged_allocator_gives_whole_pages_and_takes_them_back() -> None:
    """Sizes are in tokens, slots of a page are neighbours, and a page freed is free again."""
    allocator = FakeAllocator(page_count=4, page_size=16)
    slots = allocator.alloc(32)
    assert slots is not None
    assert slots == Slots(range(16, 48))
    assert allocator.available_size() == 32
    allocator.free(slots)
    assert allocator.available_size() == 64
    assert allocator.alloc(65 * 16) is None


def test_allocator_refuses_a_double_free() -> None:
    """A slot that is free cannot be freed: the exhauster's own guard can be trusted to come first."""
    allocator = FakeAllocator(page_count=2)
    slots = allocator.alloc(1)
    assert slots is not None
    allocator.free(slots)
    with pytest.raises(AssertionError, match="double free"):
        allocator.free(slots)


def test_greedy_allocator_gives_less_than_asked() -> None:
    """The short allocator reports what it does not give."""
    allocator = GreedyAllocator(page_count=4)
    slots = allocator.alloc(3)
    assert slots is not None
    assert len(slots) == 2


def test_hybrid_allocator_refuses_pages() -> None:
    """Like SGLang's: `alloc` works at page size 1 only, and both pools pay."""
    allocator = FakeHybridAllocator(full_pages=8, window_pages=4)
    slots = allocator.alloc(3)
    assert slots is not None
    assert (
        allocator.full_attn_allocator.available_size(),
        allocator.swa_attn_allocator.available_size(),
    ) == (5, 1)
    allocator.free(slots)
    assert allocator.available_size() == 4
    assert allocator.alloc(5) is None
    with pytest.raises(AssertionError):
        FakeHybridAllocator(full_pages=8, window_pages=4, page_size=2).alloc(2)


def test_row_pools_know_their_three_forms() -> None:
    """Requests, a number, or `alloc_rows`: each form hands out and takes rows its own way."""
    assert FakeRowPool(row_count=3).alloc([None, None]) == [1, 2]
    counting = FakeCountingRowPool(row_count=3)
    assert counting.alloc(4) is None
    rows = counting.alloc(2)
    assert rows == [1, 2]
    counting.free(rows)
    assert counting.free_slots == [3, 1, 2]
    new = FakeNewRowPool(row_count=3)
    assert new.alloc_rows(4) is None
    assert new.alloc_rows(2) == [3, 2]
    assert new.generations == {3: 1, 2: 1}


def test_tree_locks_the_path_and_checks_receipts() -> None:
    """A lock covers the node and its ancestors; the receipt fits its own node only."""
    tree = FakeTree()
    upper = tree.add()
    lower = tree.add(upper)
    other = tree.add(upper)
    receipt = tree.inc_lock_ref(lower)
    assert tree.locks() == {upper.id: 1, lower.id: 1, other.id: 0}
    with pytest.raises(AssertionError, match="receipt of another node"):
        tree.dec_lock_ref(other, receipt)
    tree.dec_lock_ref(lower, receipt)
    with pytest.raises(AssertionError, match="more often than locked"):
        tree.dec_lock_ref(lower, receipt)


def test_windowed_tree_fails_halfway_on_a_tombstone() -> None:
    """The older sliding-window cache asserts after it has locked a part of the path."""
    tree = FakeWindowedTree(sliding_window_size=2)
    upper = tree.add(token_count=4)
    lower = tree.add(upper, token_count=1)
    upper.swa_tombstone = True
    with pytest.raises(AssertionError, match="tombstone"):
        tree.inc_lock_ref(lower)
    assert lower.full_lock_ref == 1


def test_handle_core_denies_the_walk_and_unknown_numbers() -> None:
    """Like the Rust core: no `root_node`, KeyError for a number that is no node, links between slots."""
    tree = FakeTree()
    lower = tree.add(tree.add(token_count=2), token_count=3)
    core = FakeHandleCache(tree, first_number=10).tree_core
    with pytest.raises(NotImplementedError):
        _ = core.root_node
    with pytest.raises(KeyError):
        core.is_full_device_evicted(13)
    assert core.total_size() == (5, 0)
    rows = core.walk_for_kv_canary(False, False)
    assert dict(zip(rows.slot_indices, rows.prev_slot_indices, strict=True)) == {
        1: -1,
        2: 1,
        3: 2,
        4: 3,
        5: 4,
    }
    tree.inc_lock_ref(lower)
    assert core.walk_for_kv_canary(True, False).slot_indices == []
    assert core.protected_size() == 5


def test_naive_double_pins_in_walk_order_and_gives_everything_back() -> None:
    """The oracle reaches its level one pin at a time, and leaves no lock behind."""
    tree = random_tree(20, seed=1, locked_paths=3)
    before = tree.locks()
    naive = NaiveLockRefExhauster(tree)
    naive.exhaust(4)
    assert sum(1 for locks in tree.locks().values() if locks == 0) == 4
    naive.release()
    assert tree.locks() == before
