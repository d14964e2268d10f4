"""Walks a tree core that hands out node numbers and has no walk of its own: SGLang's released Rust core.

What such a core does offer, all of it read-only and in SGLang 0.5.19 to 0.5.23:

* `is_full_device_evicted(number)` raises KeyError for a number that is no node;
* `get_component_device_value(number, full)` gives a node's KV slots, in the order of its tokens;
* `walk_for_kv_canary(unlocked_only, …)` gives (slot, position, slot before) for every cached token: the
  first slot of a node points to the last slot of its parent, and a listed node is unlocked;
* `total_size()` gives all cached tokens.

Numbers are handed out one by one from the root's own and never twice, so querying each id in order
finds every node. That is believed only when the tokens found add up to `total_size()`. When they do not, the
nodes on the paths of the submitted prompts are used instead, found by the read-only
`match_full_device_prefix` (0.5.20 on): nodes that no submitted prompt runs through are then neither counted
nor pinned.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from exhausters.engine.api import NO_PARENT, NodeView
from exhausters.engine.sglang.tree import RadixTree, Receipt, SubmittedPrompts, full_component
from exhausters.errors import WalkUnsupportedError

# Numbers asked for in one walk before giving up: about a second.
MAX_PROBES = 1_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class _Span:
    """One node's slots, reduced to what the walk needs."""

    node_id: int
    first_slot: int
    last_slot: int
    token_count: int


class HandleTree(RadixTree):
    """A tree of numbers without a walk of its own."""

    def __init__(
        self,
        tree_cache: Any,
        submitted_prompts: SubmittedPrompts | None = None,
    ) -> None:
        super().__init__(tree_cache)
        self._submitted_prompts = submitted_prompts
        self._root_id: int | None = None
        # Nodes of the last walk, and the first number not asked for yet: dead numbers never come back.
        self._known: list[_Span] = []
        self._next_id = 0

    @staticmethod
    def fits(core: Any) -> bool:
        """Whether the core offers the calls listed above."""
        needed = ("is_full_device_evicted", "get_component_device_value", "walk_for_kv_canary", "total_size")
        return all(hasattr(core, name) for name in needed)

    def walk(self) -> list[NodeView]:
        """All nodes that can be found; O(cached tokens), and one question per number once.

        Raises:
            WalkUnsupportedError: neither numbers nor submitted prompts lead to the nodes.
        """
        core = self.tree_cache.tree_core
        spans = self._spans()
        rows = core.walk_for_kv_canary(False, False)
        slot_before = dict(zip(rows.slot_indices.tolist(), rows.prev_slot_indices.tolist(), strict=True))
        unlocked = set(core.walk_for_kv_canary(True, False).slot_indices.tolist())
        return _in_walk_order(spans, slot_before, unlocked)

    def lock_ref(self, handle: Any) -> int:
        """1 when the node holds any lock, else 0; O(cached tokens)."""
        span = None if handle is None else self._span(handle)
        if span is None:
            return 0
        unlocked = self.tree_cache.tree_core.walk_for_kv_canary(True, False).slot_indices.tolist()
        return 0 if span.first_slot in set(unlocked) else 1

    def pin(self, view: NodeView) -> Any | None:
        """Lock a node and its path; returns the receipt, or None when that locked nothing."""
        # The core counts locked tokens as it goes; asking for the node's lock would cost a walk per pin.
        core = self.tree_cache.tree_core
        before = core.protected_size()
        result = self.tree_cache.inc_lock_ref(view.handle)
        receipt = Receipt(result)
        if core.protected_size() == before:
            self.unpin(view.handle, receipt)
            return None
        return receipt

    def _spans(self) -> list[_Span]:
        if self._probe():
            return self._known
        if self._submitted_prompts is None:
            raise WalkUnsupportedError(
                f"{type(self.tree_cache.tree_core).__name__} offers no walk, its nodes could not be found by "
                "number, and no submitted prompts were given to pin through"
            )
        ids = self._ids_on_prompt_paths(self._submitted_prompts())
        return [span for node_id in ids if (span := self._span(node_id)) is not None]

    def _probe(self) -> bool:
        """Bring the live nodes up to date; whether they account for every cached token."""
        core = self.tree_cache.tree_core
        root_id = core.root_node_handle()
        if root_id != self._root_id:  # first walk, or the cache was flushed
            self._root_id, self._known, self._next_id = root_id, [], root_id + 1
        wanted_tokens = int(core.total_size()[0])
        # Asked for again: nodes go, and a split shortens them.
        again = [self._span(old.node_id) for old in self._known]
        self._known = [span for span in again if span is not None]
        found_tokens = sum(span.token_count for span in self._known)
        for _ in range(MAX_PROBES):
            if found_tokens >= wanted_tokens:
                break
            span = self._span(self._next_id)
            if span is not None:
                self._known.append(span)
                found_tokens += span.token_count
            self._next_id += 1
        return found_tokens == wanted_tokens

    def _span(self, node_id: int) -> _Span | None:
        """The node's slots; None when there is no such node, or nothing of it on the device."""
        core = self.tree_cache.tree_core
        try:
            if core.is_full_device_evicted(node_id):
                return None
            slots = core.get_component_device_value(node_id, full_component(self.tree_cache))
        except KeyError:
            return None
        if slots is None or len(slots) == 0:
            return None
        return _Span(
            node_id=node_id, first_slot=int(slots[0]), last_slot=int(slots[-1]), token_count=len(slots)
        )

    def _ids_on_prompt_paths(self, prompts: Sequence[Sequence[int]]) -> list[int]:
        core = self.tree_cache.tree_core
        if not hasattr(core, "match_full_device_prefix"):
            raise WalkUnsupportedError(
                f"{type(core).__name__} has no match_full_device_prefix: no read-only way to a prompt's nodes"
            )
        page_size = self.tree_cache.page_size
        found: dict[int, None] = {}  # a set that keeps the order
        for prompt in prompts:
            start_tokens = 0
            while start_tokens + page_size <= len(prompt):
                # One page beyond a node's end is enough to name its child, and how far that one reaches.
                key = _radix_key(prompt[: start_tokens + page_size])
                _, node_id, end_tokens = core.match_full_device_prefix(key)
                if end_tokens <= start_tokens:
                    break
                found[node_id] = None
                start_tokens = end_tokens
        return list(found)


def _in_walk_order(spans: list[_Span], slot_before: dict[int, int], unlocked: set[int]) -> list[NodeView]:
    """Order the nodes as a walk over node objects would.

    Node objects keep their children in the order in which the branches came up. A split leaves the lower half
    its number, so the smallest number in a branch tells that order here.
    """
    owner_of_last = {span.last_slot: position for position, span in enumerate(spans)}
    parents = [owner_of_last.get(slot_before.get(span.first_slot, -1), NO_PARENT) for span in spans]
    children: dict[int, list[int]] = {}
    for position, parent in enumerate(parents):
        children.setdefault(parent, []).append(position)
    oldest = _oldest_in_branch(spans, parents, children)
    views: list[NodeView] = []
    stack = [(child, NO_PARENT) for child in sorted(children.get(NO_PARENT, []), key=oldest.__getitem__)]
    while stack:
        position, parent = stack.pop()
        here = len(views)
        span = spans[position]
        views.append(
            NodeView(
                node_id=span.node_id,
                handle=span.node_id,
                parent=parent,
                token_count=span.token_count,
                lock_refs=0 if span.first_slot in unlocked else 1,
            )
        )
        stack.extend((child, here) for child in sorted(children.get(position, []), key=oldest.__getitem__))
    return views


def _oldest_in_branch(spans: list[_Span], parents: list[int], children: dict[int, list[int]]) -> list[int]:
    """For each node the smallest number among itself and all below it."""
    top_down = list(children.get(NO_PARENT, []))
    for position in top_down:  # grows while it is read: breadth first
        top_down.extend(children.get(position, []))
    oldest = [span.node_id for span in spans]
    for position in reversed(top_down):
        parent = parents[position]
        if parent != NO_PARENT:
            oldest[parent] = min(oldest[parent], oldest[position])
    return oldest


def _radix_key(tokens: Sequence[int]) -> Any:
    # The worker has imported the class long before; this package never imports sglang itself.
    module = sys.modules.get("sglang.srt.mem_cache.radix_cache")
    if module is None:
        raise WalkUnsupportedError(
            "sglang.srt.mem_cache.radix_cache is not loaded: no RadixKey to match prompts with"
        )
    return module.RadixKey(array("q", tokens), None)
