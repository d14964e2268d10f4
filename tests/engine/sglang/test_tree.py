"""Every known shape of tree is read through what it offers, never through a version."""

from __future__ import annotations

import sys
from array import array
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from exhausters.engine.api import NO_PARENT, NodeView
from exhausters.engine.sglang import handle_tree
from exhausters.engine.sglang.handle_tree import HandleTree
from exhausters.engine.sglang.prefix_tree import open_tree
from exhausters.engine.sglang.tree import Receipt, object_lock_refs
from exhausters.errors import WalkUnsupportedError
from tests.engine.sglang.handle_tree_shapes import FakeHandleCache
from tests.engine.sglang.shapes import FakeTree, Slots, engine_over, random_tree


def iter_nodes(cache: Any) -> list[NodeView]:
    return engine_over(cache).tree.walk()


def lock_ref(cache: Any, handle: Any) -> int:
    return engine_over(cache).tree.lock_ref(handle)


def two_branches() -> FakeTree:
    tree = FakeTree()
    first = tree.add(token_count=3)
    tree.add(first, token_count=2)
    tree.add(token_count=5)
    tree.inc_lock_ref(first)
    tree.nodes[1].hit_count = 7
    return tree


def by_id_cache(tree: FakeTree) -> Any:
    """As the newer caches with the Python core: node objects inside, numbers outside."""
    core = SimpleNamespace(root_node=tree.root_node, node_by_id=tree.nodes.__getitem__)
    return SimpleNamespace(tree_core=core, disable=False, inc_lock_ref=None, dec_lock_ref=None)


def test_walk_order_and_what_each_node_tells() -> None:
    """The last child first, parents before children, with tokens, locks, hits and the parent's position."""
    views = list(iter_nodes(two_branches()))
    assert [view.node_id for view in views] == [3, 1, 2]
    assert [view.parent for view in views] == [NO_PARENT, NO_PARENT, 1]
    assert [view.token_count for view in views] == [5, 3, 2]
    assert [view.lock_refs for view in views] == [0, 1, 0]
    assert [view.hit_count for view in views] == [0, 7, 0]


def test_python_core_is_walked_by_objects_and_locked_by_number() -> None:
    """Handles are what the cache's lock calls take; a number that is gone holds no lock."""
    tree = two_branches()
    cache = by_id_cache(tree)
    assert [view.handle for view in iter_nodes(cache)] == [3, 1, 2]
    assert [lock_ref(cache, handle) for handle in (1, 2, 99, None)] == [1, 0, 0, 0]


def test_object_handles() -> None:
    """Older caches hand out the nodes themselves."""
    tree = two_branches()
    assert [lock_ref(tree, handle) for handle in (tree.nodes[1], tree.nodes[3], None)] == [1, 0, 0]


def test_locks_of_all_components_count() -> None:
    """Full-attention, window and Mamba locks add up, in both ways SGLang kept them."""
    assert object_lock_refs(SimpleNamespace(full_lock_ref=2, swa_lock_ref=1)) == 3
    assert object_lock_refs(SimpleNamespace(full_lock_ref=2, mamba_lock_ref=3)) == 5
    parts = [SimpleNamespace(lock_ref=1), SimpleNamespace(lock_ref=4)]
    assert object_lock_refs(SimpleNamespace(component_data=parts)) == 5


def test_inspecting_core() -> None:
    """A core with SGLang's own test inspector is walked through it."""
    tree = two_branches()
    plain = {0: tree.root_node, **tree.nodes}
    core = SimpleNamespace(
        get_child_node_ids=lambda number: list(plain[number].child_by_key),
        root_node_handle=lambda: 0,
        contains_node=lambda number: number in tree.nodes,
        get_component_device_lock_ref=lambda number, component: tree.nodes[number].lock_ref,
        get_component_device_value=lambda number, component: tree.nodes[number].key,
        get_node_hit_count=lambda number: tree.nodes[number].hit_count,
    )
    cache = SimpleNamespace(tree_core=core, tree_components=(0,), disable=False)
    assert list(iter_nodes(cache)) == list(iter_nodes(by_id_cache(tree)))
    assert lock_ref(cache, 99) == 0


def test_disabled_cache_has_no_nodes() -> None:
    """A cache without sharing has no `root_node`, and is not asked for one."""
    assert list(iter_nodes(SimpleNamespace(disable=True))) == []


def test_unknown_shape_names_what_is_missing() -> None:
    """An unknown cache is an error that says what was looked for and what to do."""
    cache = SimpleNamespace(tree_core=SimpleNamespace(), disable=False)
    with pytest.raises(WalkUnsupportedError, match="CORE_BACKEND=python"):
        list(iter_nodes(cache))


def test_numbers_are_found_and_ordered_as_the_objects_are() -> None:
    """Asking for each number finds every node, and parents, tokens and locks as in the walk over objects."""
    tree = random_tree(40, seed=9, locked_paths=5)
    views = list(iter_nodes(FakeHandleCache(tree, first_number=100)))
    assert [(v.node_id - 100, v.parent, v.token_count) for v in views] == [
        (v.node_id, v.parent, v.token_count) for v in iter_nodes(tree)
    ]
    assert [v.lock_refs > 0 for v in views] == [v.lock_refs > 0 for v in iter_nodes(tree)]


def test_numbers_are_asked_for_once() -> None:
    """A second walk asks again only for live nodes, not for every number since the start."""
    cache = FakeHandleCache(random_tree(10, seed=1))
    tree = open_tree(cache)
    tree.walk()
    first = cache.tree_core.questions
    tree.walk()
    assert (first, cache.tree_core.questions) == (10, 20)


def test_lock_of_one_number() -> None:
    """1 stands for "at least one"; nodes that are gone hold none."""
    tree = two_branches()
    tree.inc_lock_ref(tree.nodes[1])
    cache = FakeHandleCache(tree)
    assert [lock_ref(cache, handle) for handle in (2, 3, 99, None)] == [1, 0, 0, 0]


def test_unfound_tokens_without_prompts_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers that do not account for every cached token are not believed."""
    monkeypatch.setattr(handle_tree, "MAX_PROBES", 50)
    cache = FakeHandleCache(random_tree(5, seed=1))
    cache.tree_core.denied = {3}
    with pytest.raises(WalkUnsupportedError, match="no submitted prompts"):
        HandleTree(cache).walk()


def test_prompts_lead_to_the_nodes_when_numbers_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every node on the path of a submitted prompt is found by read-only matches, and no other."""
    monkeypatch.setattr(handle_tree, "MAX_PROBES", 0)
    tree = FakeTree()
    upper = tree.add(token_count=2)
    lower = tree.add(upper, token_count=3)
    tree.add(token_count=4)
    cache = FakeHandleCache(tree, first_number=0)
    prompt = [10, 11, 12, 13, 14]

    def match(key: tuple[int, ...]) -> tuple[int, int, int]:
        if list(key) != prompt[: len(key)]:
            return 0, 0, 0
        return (len(key), upper.id, 2) if len(key) <= 2 else (len(key), lower.id, 5)

    cache.tree_core.match_full_device_prefix = match  # type: ignore[attr-defined]
    module = ModuleType("sglang.srt.mem_cache.radix_cache")
    module.RadixKey = lambda tokens, extra_key: tuple(tokens)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    found = HandleTree(cache, lambda: [prompt, [99, 98]]).walk()
    assert [view.node_id for view in found] == [upper.id, lower.id]


def test_prompts_need_a_read_only_match(monkeypatch: pytest.MonkeyPatch) -> None:
    """A core that could only match by touching its LRU order is not matched at all."""
    monkeypatch.setattr(handle_tree, "MAX_PROBES", 0)
    cache = FakeHandleCache(random_tree(3, seed=1))
    with pytest.raises(WalkUnsupportedError, match="match_full_device_prefix"):
        HandleTree(cache, lambda: [[1]]).walk()


def test_prompts_need_the_key_class(monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside a worker there is no RadixKey; the error says so."""
    monkeypatch.setattr(handle_tree, "MAX_PROBES", 0)
    cache = FakeHandleCache(random_tree(3, seed=1))
    cache.tree_core.match_full_device_prefix = lambda key: (0, 0, 0)  # type: ignore[attr-defined]
    with pytest.raises(WalkUnsupportedError, match="RadixKey"):
        HandleTree(cache, lambda: [array("q", [1])]).walk()


def test_nodes_off_the_device_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A node whose KV lives on the host, or that has no slots, is neither counted nor pinned."""
    monkeypatch.setattr(handle_tree, "MAX_PROBES", 3)
    tree = FakeTree()
    for _ in range(3):
        tree.add(token_count=2)
    cache = FakeHandleCache(tree)
    core = cache.tree_core
    core.is_full_device_evicted = lambda number: number == 2  # type: ignore[method-assign]
    core._slots[2] = Slots()
    core._slots[1] = Slots()
    assert [view.node_id for view in HandleTree(cache).walk()] == [4]


@pytest.mark.parametrize("takes_window_id", [False, True])
def test_receipts_of_the_oldest_caches(takes_window_id: bool) -> None:
    """Without `to_dec_params` the window id itself goes back, or nothing where nothing is taken."""
    calls: list[tuple[Any, ...]] = []

    def bare(node: Any) -> None:
        calls.append((node,))

    def windowed(node: Any, swa_uuid_for_lock: Any = None) -> None:
        calls.append((node, swa_uuid_for_lock))

    Receipt(5).give_back(windowed if takes_window_id else bare, "node")
    assert calls == [("node", 5) if takes_window_id else ("node",)]
