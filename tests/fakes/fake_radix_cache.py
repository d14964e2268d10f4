"""A prefix cache for `fake_scheduler`: real pages, locks, hits and LRU eviction, in its plainest form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.pressure_fakes import FakeAllocator, FakeNode, FakeTree, Slots


@dataclass(frozen=True)
class FakeEvictParams:
    """How many tokens an eviction is asked for."""

    num_tokens: int


@dataclass(frozen=True)
class FakeEvictResult:
    """How many tokens an eviction freed."""

    num_tokens_evicted: int


@dataclass(eq=False)
class PageNode(FakeNode):
    """A node of one page: its tokens, its slots, and its place in the LRU order."""

    page: tuple[int, ...] = ()
    slots: Slots = field(default_factory=Slots)
    last_used: int = 0


class FakeRadixCache(FakeTree):
    """A trie with one node a page, where SGLang's radix tree has one node a run of pages.

    So nothing ever splits, and node counts differ from SGLang's; tokens, hits and locks do not.
    """

    def __init__(self, allocator: FakeAllocator) -> None:
        super().__init__()
        self.page_size = allocator.page_size
        self._allocator = allocator
        self._uses = 0
        self._next_id = 1
        self._by_page: dict[tuple[int, tuple[int, ...]], PageNode] = {}

    def match_prefix(self, tokens: Sequence[int]) -> tuple[Slots, Any]:
        """Slots of the longest cached run of whole pages, and the node it ends at."""
        slots, node = Slots(), self.root_node
        for page in self._pages(tokens):
            child = self._by_page.get((node.id, page))
            if child is None:
                break
            self._touch(child)
            slots.extend(child.slots)
            node = child
        return slots, node

    def insert(self, tokens: Sequence[int], slots: Slots) -> None:
        """Take over the slots of all whole pages; slots of pages that are cached already are freed."""
        if self.disable:
            return
        node: FakeNode = self.root_node
        for index, page in enumerate(self._pages(tokens)):
            own = Slots(slots[index * self.page_size : (index + 1) * self.page_size])
            child = self._by_page.get((node.id, page))
            if child is None:
                child = self._add_page(node, page, own)
            elif child.slots != own:
                self._allocator.free(own)
            self._touch(child)
            node = child

    def evict(self, params: FakeEvictParams) -> FakeEvictResult:
        """Free unlocked leaves, least recently used first, until enough tokens are free or none is left."""
        freed = 0
        while freed < params.num_tokens:
            leaves = [n for n in self.nodes.values() if not n.child_by_key and n.lock_ref == 0]
            if not leaves:
                break
            oldest = min(leaves, key=lambda node: node.last_used)  # type: ignore[attr-defined]
            freed += self._drop(oldest)
        return FakeEvictResult(num_tokens_evicted=freed)

    def protected_size(self) -> int:
        """Tokens of locked nodes."""
        return sum(len(node.key) for node in self.nodes.values() if node.lock_ref > 0)

    def reset(self) -> None:
        """Forget everything; the allocator is cleared by the scheduler."""
        self.nodes.clear()
        self._by_page.clear()
        self.root_node.child_by_key.clear()

    def _pages(self, tokens: Sequence[int]) -> list[tuple[int, ...]]:
        size = self.page_size
        return [tuple(tokens[i * size : (i + 1) * size]) for i in range(len(tokens) // size)]

    def _add_page(self, parent: FakeNode, page: tuple[int, ...], slots: Slots) -> PageNode:
        node = PageNode(
            id=self._next_id, key=range(self.page_size), parent=parent, tree=self, page=page, slots=slots
        )
        self._next_id += 1
        parent.child_by_key[node.id] = node
        self.nodes[node.id] = node
        self._by_page[parent.id, page] = node
        return node

    def _touch(self, node: PageNode) -> None:
        self._uses += 1
        node.last_used = self._uses
        node.hit_count += 1

    def _drop(self, node: Any) -> int:
        del self.nodes[node.id]
        del node.parent.child_by_key[node.id]
        del self._by_page[node.parent.id, node.page]
        self._allocator.free(node.slots)
        return len(node.slots)
