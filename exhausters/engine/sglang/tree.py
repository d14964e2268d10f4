"""The shapes of SGLang's radix trees.

Three shapes, told apart by what they offer, never by version:

* node objects: `tree_cache.root_node` with `children`, `parent` and lock counters on each node. `RadixCache`,
  its sliding-window and Mamba relatives, `UnifiedRadixCache`, and the Python core of newer ones, whose lock
  calls take the node's `id` instead of the node.
* an inspecting core: `tree_core.get_child_node_ids`, built only from SGLang's Rust sources for its own tests.
* bare handles: the released Rust core, which has no walk; see `handle_tree`.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

from exhausters.engine.api import NO_PARENT, NodeView

SubmittedPrompts = Callable[[], Sequence[Sequence[int]]]


class RadixTree(ABC):
    """One cache's tree: its walk, and its locks given and taken with receipts."""

    def __init__(self, tree_cache: Any) -> None:
        self.tree_cache = tree_cache

    @abstractmethod
    def walk(self) -> list[NodeView]:
        """All nodes but the root, parents before children, in O(nodes).

        The order is that of SGLang's own walk: a stack popped from the end, the children of each node pushed
        in the order of its dict.
        """

    @abstractmethod
    def lock_ref(self, handle: Any) -> int:
        """Locks on one node now; 0 for None and for a node that is gone (gone nodes hold no locks)."""

    def pin(self, view: NodeView) -> Any | None:
        """Lock a node and its path; returns the receipt, or None when that locked nothing.

        A pin without effect is given back at once; SGLang's own exhauster forgets it, and leaks its locks on
        the nodes above.
        """
        result = self.tree_cache.inc_lock_ref(view.handle)
        receipt = Receipt(result)
        if self.lock_ref(view.handle) == 0:
            self.unpin(view.handle, receipt)
            return None
        return receipt

    def unpin(self, handle: Any, receipt: Any) -> None:
        """Give one pin back, with its receipt, in the form this cache's `dec_lock_ref` takes."""
        receipt.give_back(self.tree_cache.dec_lock_ref, handle)


class Receipt:
    """What `inc_lock_ref` returned, as `dec_lock_ref` wants it back.

    Without it a sliding-window tree would release window locks of other requests. Releases since 0.5.13 offer
    `to_dec_params()`; before, the sliding-window cache took the bare window id and the others nothing.
    """

    def __init__(self, result: Any) -> None:
        # Converted now, not at release: some releases hand out a result they go on using.
        self._params = result.to_dec_params() if hasattr(result, "to_dec_params") else None
        self._bare = result

    def give_back(self, dec_lock_ref: Callable[..., Any], handle: Any) -> None:
        """Call `dec_lock_ref` for `handle` in the form it takes."""
        if self._params is not None:
            dec_lock_ref(handle, self._params)
        elif "swa_uuid_for_lock" in inspect.signature(dec_lock_ref).parameters:
            dec_lock_ref(handle, self._bare)
        else:
            dec_lock_ref(handle)


class ObjectTree(RadixTree):
    """A tree of node objects."""

    def __init__(self, tree_cache: Any, *, root: Callable[[], Any], by_id: bool) -> None:
        super().__init__(tree_cache)
        self._root = root  # a call: a flush replaces the root
        self._by_id = by_id

    def walk(self) -> list[NodeView]:
        """All nodes but the root, parents first; without those that are in host memory alone."""
        views: list[NodeView] = []
        stack = [(child, NO_PARENT) for child in self._root().children.values()]
        while stack:
            node, parent = stack.pop()
            if _is_on_host_alone(node):  # and then so is all below it
                continue
            here = len(views)
            views.append(self._view(node, parent))
            stack.extend((child, here) for child in node.children.values())
        return views

    def _view(self, node: Any, parent: int) -> NodeView:
        return NodeView(
            node_id=node.id,
            handle=node.id if self._by_id else node,
            parent=parent,
            token_count=len(node.key),
            lock_refs=object_lock_refs(node),
            hit_count=getattr(node, "hit_count", None),
            pinnable=not _window_reaches_tombstone(node, self.tree_cache),
        )

    def lock_ref(self, handle: Any) -> int:
        """Locks on one node now."""
        if handle is None:
            return 0
        if not self._by_id:
            return object_lock_refs(handle)
        try:
            return object_lock_refs(self.tree_cache.tree_core.node_by_id(handle))
        except KeyError:
            return 0


class InspectorTree(RadixTree):
    """A core with SGLang's own test inspector."""

    def walk(self) -> list[NodeView]:
        """All nodes but the root, parents first."""
        core = self.tree_cache.tree_core
        views: list[NodeView] = []
        stack = [(child, NO_PARENT) for child in core.get_child_node_ids(core.root_node_handle())]
        while stack:
            node_id, parent = stack.pop()
            here = len(views)
            value = core.get_component_device_value(node_id, full_component(self.tree_cache))
            views.append(
                NodeView(
                    node_id=node_id,
                    handle=node_id,
                    parent=parent,
                    token_count=0 if value is None else len(value),
                    lock_refs=self.lock_ref(node_id),
                    hit_count=core.get_node_hit_count(node_id),
                )
            )
            stack.extend((child, here) for child in core.get_child_node_ids(node_id))
        return views

    def lock_ref(self, handle: Any) -> int:
        """Locks on one node now, summed over the components."""
        core = self.tree_cache.tree_core
        if handle is None or not core.contains_node(handle):
            return 0
        components = self.tree_cache.tree_components
        return sum(core.get_component_device_lock_ref(handle, one) for one in components)


def object_lock_refs(node: Any) -> int:
    """Locks on a node object, summed over its components (full attention, sliding window, Mamba)."""
    components = getattr(node, "component_data", None)
    if components is not None:
        return sum(component.lock_ref for component in components)
    if hasattr(node, "full_lock_ref"):
        others = getattr(node, "swa_lock_ref", 0) + getattr(node, "mamba_lock_ref", 0)
        return int(node.full_lock_ref + others)
    return int(node.lock_ref)


def full_data(node: Any) -> Any:
    """What keeps a node's full-attention slots: `value` on the device and, with HiCache, `host_value`."""
    components = getattr(node, "component_data", None)
    return node if components is None else components[0]


def _is_on_host_alone(node: Any) -> bool:
    kept = full_data(node)
    return getattr(kept, "host_value", None) is not None and kept.value is None


def full_component(tree_cache: Any) -> Any:
    """The full-attention component in the form the core takes it; SGLang numbers it 0."""
    return next((one for one in tree_cache.tree_components if int(one) == 0), 0)


def _window_reaches_tombstone(node: Any, tree_cache: Any) -> bool:
    """Whether locking the node would lock window slots that were evicted already.

    `SWARadixCache.inc_lock_ref` asserts against that after it has locked a part of the path. Bounded by the
    window, so a walk stays linear in the nodes for a fixed window.
    """
    window_tokens = getattr(tree_cache, "sliding_window_size", None)
    if not hasattr(node, "swa_tombstone") or not isinstance(window_tokens, int):
        return False
    covered_tokens = 0
    while node.parent is not None and covered_tokens < window_tokens:
        if node.swa_tombstone:
            return True
        covered_tokens += len(node.key)
        node = node.parent
    return False
