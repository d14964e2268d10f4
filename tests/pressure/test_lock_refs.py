"""The lock exhauster ends where the naive double ends, in one walk."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exhausters.engine.sglang.tree import object_lock_refs
from exhausters.errors import LevelError, PressureError
from exhausters.pressure import ScriptedLockRefExhauster
from tests.engine.sglang.handle_tree_shapes import FakeHandleCache
from tests.engine.sglang.shapes import FakeTree, FakeWindowedTree, engine_over, random_tree
from tests.pressure.naive_lock_refs import NaiveLockRefExhauster


@st.composite
def trees(draw: st.DrawFn) -> FakeTree:
    """Random shapes, with locks of running requests, and with locks that break the path rule."""
    tree = FakeTree()
    for _ in range(draw(st.integers(0, 25))):
        parents = [None, *tree.nodes.values()]
        parent = parents[draw(st.integers(0, len(parents) - 1))]
        tree.add(parent, token_count=draw(st.integers(1, 5)))
    ids = list(tree.nodes)
    for node_id in draw(st.lists(st.sampled_from(ids), max_size=4)) if ids else []:
        tree._add_to_path(tree.nodes[node_id], 1)
    for node_id in draw(st.lists(st.sampled_from(ids), max_size=2)) if ids else []:
        tree.nodes[node_id].lock_ref += 1
    tree.refuses = set(draw(st.lists(st.sampled_from(ids), max_size=1))) if ids else set()
    return tree


def unlocked(tree: FakeTree) -> int:
    """Nodes without a lock."""
    return [object_lock_refs(node) for node in tree.nodes.values()].count(0)


@settings(max_examples=300)
@given(tree=trees(), levels=st.lists(st.integers(0, 12), min_size=1, max_size=3))
def test_same_final_state_as_the_naive_double(tree: FakeTree, levels: list[int]) -> None:
    """Same pins in the same order, same locks on every node, after every call and after release."""
    other = copy.deepcopy(tree)
    before = tree.locks()
    ours = ScriptedLockRefExhauster(engine_over(tree))
    naive = NaiveLockRefExhauster(other)
    for level in levels:
        ours.exhaust(level)
        naive.exhaust(level)
        assert tree.pins == other.pins
        assert tree.locks() == other.locks()
        newly = {node for node, locks in tree.locks().items() if locks and not before[node]}
        assert ours.pinned_nodes == len(newly)
        assert ours.pinned_tokens == sum(len(tree.nodes[node].key) for node in newly)
    ours.release()
    naive.release()
    assert tree.released == other.released
    assert tree.locks() == before == other.locks()


@pytest.mark.parametrize("node_count", [10, 100, 1_000, 5_000])
def test_one_walk_however_many_pins(node_count: int) -> None:
    """Node visits equal the number of nodes plus the root, not pins times nodes."""
    tree = random_tree(node_count, seed=node_count)
    ScriptedLockRefExhauster(engine_over(tree)).exhaust(0)
    assert len(tree.pins) == node_count
    assert tree.node_visits == node_count + 1


@given(leave_refs=st.integers(0, 30))
def test_leaves_at_most_what_was_asked(leave_refs: int) -> None:
    """Never more unlocked nodes than the level, and not one pin more than needed."""
    tree = random_tree(20, seed=3)
    exhauster = ScriptedLockRefExhauster(engine_over(tree))
    exhauster.exhaust(leave_refs=leave_refs)
    assert unlocked(tree) == min(20, leave_refs)
    assert exhauster.pinned_nodes == max(0, 20 - leave_refs)


def test_disabled_cache_is_left_alone() -> None:
    """Nothing is walked, counted or pinned when the radix cache is off."""
    tree = random_tree(5, seed=1)
    tree.disable = True
    exhauster = ScriptedLockRefExhauster(engine_over(tree))
    exhauster.exhaust(0)
    assert (tree.pins, tree.node_visits, unlocked(tree)) == ([], 0, 5)


def test_a_pin_without_effect_ends_it_and_is_given_back() -> None:
    """A cache that will not lock is not asked for ever, and keeps no lock of ours."""
    tree = FakeTree()
    node = tree.add()
    tree.refuses = {node.id}
    exhauster = ScriptedLockRefExhauster(engine_over(tree))
    exhauster.exhaust(0)
    assert (tree.pins, tree.released) == ([node.id], [node.id])
    assert exhauster.pinned_nodes == 0


def test_pins_come_back_newest_first_with_their_receipts() -> None:
    """Each lock is given back on its own node, in reverse order, and only once."""
    tree = random_tree(8, seed=2)
    with ScriptedLockRefExhauster(engine_over(tree)) as exhauster:
        exhauster.exhaust(5)
        exhauster.exhaust(2)
        exhauster.release()
    assert tree.released == tree.pins[::-1]
    assert set(tree.locks().values()) == {0}


def test_every_lock_is_attempted_when_one_cannot_be_given_back() -> None:
    """One failing release does not keep the other locks."""
    tree = random_tree(6, seed=4)
    exhauster = ScriptedLockRefExhauster(engine_over(tree))
    exhauster.exhaust(0)
    tree.nodes[tree.pins[3]].lock_ref = -100
    with pytest.raises(PressureError, match="giving back locks failed"):
        exhauster.release()
    assert sorted(tree.released) == sorted(tree.pins)
    assert exhauster.pinned_nodes == 0


def test_held_level_pins_new_nodes_without_useless_walks() -> None:
    """New nodes are pinned at the next step; a step without new nodes costs no walk."""
    tree = random_tree(6, seed=5)
    exhauster = ScriptedLockRefExhauster(engine_over(tree))
    exhauster.hold(0)
    visits = tree.node_visits
    exhauster.reapply()
    assert tree.node_visits == visits
    tree.add(tree.nodes[6])
    exhauster.reapply()
    assert min(tree.locks().values()) > 0
    exhauster.release()
    exhauster.reapply()
    assert set(tree.locks().values()) == {0}


def test_tombstones_are_passed_over_and_locked_from_below() -> None:
    """Nodes whose lock would fail halfway are skipped; a pin below them locks and counts them."""
    tree = FakeWindowedTree(sliding_window_size=4)
    top = tree.add(token_count=2)
    gone = tree.add(top, token_count=2)
    deep = tree.add(gone, token_count=4)
    gone.swa_tombstone = True
    exhauster = ScriptedLockRefExhauster(engine_over(tree))
    exhauster.hold(0)
    assert tree.pins == [top.id, deep.id]
    assert (exhauster.pinned_nodes, exhauster.pinned_tokens, unlocked(tree)) == (3, 8, 0)
    exhauster.reapply()
    exhauster.release()
    assert [node.full_lock_ref for node in (top, gone, deep)] == [0, 0, 0]


def test_a_leaf_that_cannot_be_pinned_stays() -> None:
    """The level is a best effort where the cache itself cannot lock."""
    tree = FakeWindowedTree(sliding_window_size=4)
    gone = tree.add(token_count=2)
    gone.swa_tombstone = True
    exhauster = ScriptedLockRefExhauster(engine_over(tree))
    exhauster.exhaust(0)
    assert (tree.pins, unlocked(tree)) == ([], 1)


@given(tree=trees(), leave_refs=st.integers(0, 12), first_number=st.integers(1, 50))
def test_numbers_without_a_walk_end_in_the_same_state(
    tree: FakeTree, leave_refs: int, first_number: int
) -> None:
    """On a core that cannot be walked the same nodes get the same locks, in the same order."""
    other = copy.deepcopy(tree)
    ours = ScriptedLockRefExhauster(engine_over(FakeHandleCache(tree, first_number=first_number)))
    ours.exhaust(leave_refs)
    naive = NaiveLockRefExhauster(other)
    naive.exhaust(leave_refs)
    assert tree.pins == other.pins
    assert tree.locks() == other.locks()
    ours.release()
    naive.release()
    assert tree.released == other.released


def test_bad_level_is_refused() -> None:
    """The level is named as the caller wrote it, and nothing is pinned."""
    tree = random_tree(3, seed=1)
    with pytest.raises(LevelError, match="leave_refs=-1"):
        ScriptedLockRefExhauster(engine_over(tree)).exhaust(-1)
    assert tree.pins == []
