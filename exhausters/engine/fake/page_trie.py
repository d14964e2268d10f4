"""The fake engine's prefix cache: real pages, locks, hits and LRU eviction, in its plainest form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from exhausters.engine.api import NO_PARENT, NodeView
from exhausters.engine.fake.pools import PagePool


@dataclass(eq=False, slots=True, kw_only=True)
class PageNode:
    """One cached page: its tokens, its place in the pool, and who needs it."""

    node_id: int
    page: int
    tokens: tuple[int, ...]
    parent: PageNode | None
    children: dict[tuple[int, ...], PageNode] = field(default_factory=dict)
    locks: int = 0
    hits: int = 0
    last_used: int = 0


@dataclass(frozen=True, slots=True)
class _Receipt:
    """What a pin returned; good for the node that was pinned."""

    node: PageNode


class PageTrie:
    """A trie with one node per page, where SGLang's radix tree has one node per run of pages; a `PrefixTree`.

    So nothing ever splits, and node counts differ from SGLang's; tokens, hits and locks do not.

    Attributes:
        is_disabled: whether nothing is cached.
        tells_locks: True.
        root: holds no page and is always locked.
    """

    tells_locks = True

    def __init__(self, pool: PagePool, *, is_disabled: bool = False) -> None:
        self.is_disabled = is_disabled
        self.root = PageNode(node_id=0, page=0, tokens=(), parent=None, locks=1)
        self._pool = pool
        self._nodes: dict[int, PageNode] = {}
        self._uses = 0
        self._next_id = 1

    @property
    def page_size(self) -> int:
        """Tokens per page, and so per node."""
        return self._pool.page_size

    def evictable_tokens(self) -> int:
        """Tokens of unlocked nodes."""
        return sum(node.locks == 0 for node in self._nodes.values()) * self.page_size

    def protected_tokens(self) -> int:
        """Tokens of locked nodes."""
        return len(self._nodes) * self.page_size - self.evictable_tokens()

    def match(self, tokens: Sequence[int]) -> tuple[list[int], PageNode]:
        """Return the pages of the longest cached run of whole pages, and the node it ends at."""
        pages, node = [], self.root
        for key in self._keys(tokens):
            child = node.children.get(key)
            if child is None:
                break
            self._touch(child)
            pages.append(child.page)
            node = child
        return pages, node

    def insert(self, tokens: Sequence[int], pages: Sequence[int]) -> None:
        """Take over all whole pages; those that are cached already, under another number, are freed."""
        node = self.root
        for key, page in zip(self._keys(tokens), pages, strict=True):
            child = node.children.get(key)
            if child is None:
                child = PageNode(node_id=self._next_id, page=page, tokens=key, parent=node)
                self._next_id += 1
                node.children[key] = self._nodes[child.node_id] = child
            elif child.page != page:
                self._pool.free([page])
            self._touch(child)
            node = child

    def evict(self, tokens: int) -> int:
        """Free unlocked leaves, least recently used first, until enough are free; return the tokens freed."""
        freed = 0
        while freed < tokens:
            leaves = [node for node in self._nodes.values() if not node.children and node.locks == 0]
            if not leaves:
                break
            self._drop(min(leaves, key=lambda node: node.last_used))
            freed += self.page_size
        return freed

    def reset(self) -> None:
        """Forget everything; the pool is reset by the scheduler."""
        self._nodes.clear()
        self.root.children.clear()

    def lock(self, node: PageNode, change: int = 1) -> None:
        """Change the locks of a node and of all above it but the root."""
        here: PageNode | None = node
        while here is not None and here is not self.root:
            here.locks += change
            if here.locks < 0:
                raise ValueError(f"node {here.node_id} was unlocked more often than locked")
            here = here.parent

    def unlock(self, node: PageNode) -> None:
        """Take one lock off a node and off all above it."""
        self.lock(node, -1)

    def walk(self) -> list[NodeView]:
        """All nodes but the root, parents first; the last child comes first, as in SGLang."""
        views: list[NodeView] = []
        stack = [(child, NO_PARENT) for child in self.root.children.values()]
        while stack:
            node, parent = stack.pop()
            here = len(views)
            views.append(
                NodeView(
                    node_id=node.node_id,
                    handle=node,
                    parent=parent,
                    token_count=self.page_size,
                    lock_refs=node.locks,
                    hit_count=node.hits,
                )
            )
            stack.extend((child, here) for child in node.children.values())
        return views

    def lock_ref(self, handle: Any) -> int:
        """Locks on one node now; 0 for None and for a node that is gone."""
        if handle is None or (handle is not self.root and handle.node_id not in self._nodes):
            return 0
        locks: int = handle.locks
        return locks

    def pin(self, view: NodeView) -> object:
        """Lock a node and its path."""
        self.lock(view.handle)
        return _Receipt(view.handle)

    def unpin(self, handle: Any, receipt: Any) -> None:
        """Give one pin back; raises ValueError for the receipt of another node."""
        if receipt.node is not handle:
            raise ValueError(f"the receipt is of node {receipt.node.node_id}, not of node {handle.node_id}")
        self.unlock(handle)

    def _keys(self, tokens: Sequence[int]) -> list[tuple[int, ...]]:
        size = self.page_size
        return [tuple(tokens[i * size : (i + 1) * size]) for i in range(len(tokens) // size)]

    def _touch(self, node: PageNode) -> None:
        self._uses += 1
        node.last_used = self._uses
        node.hits += 1

    def _drop(self, node: PageNode) -> None:
        assert node.parent is not None, "the root holds no page"
        del self._nodes[node.node_id]
        del node.parent.children[node.tokens]
        self._pool.free([node.page])
