"""Stand-ins for the shapes of SGLang's allocators, row pools and radix trees over the releases.

They keep SGLang's rules (whole pages, one free list, locks on the path to the root, receipts) and count what
was asked of them. No torch: slots are lists that know `tolist`.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from exhausters.engine.sglang.engine import SGLangEngine


class Slots(list[int]):
    """A list where SGLang has a one-dimensional tensor."""

    def tolist(self) -> list[int]:
        return list(self)


class FakeAllocator:
    """A free list of pages; sizes in tokens, like SGLang's token and paged allocators."""

    def __init__(self, *, page_count: int, page_size: int = 1) -> None:
        self.page_size = page_size
        self.size = page_count * page_size
        self.free_pages: list[int] | None = list(range(1, page_count + 1))
        self.freed: list[list[int]] = []  # what each `free` returned, for the order
        self.missing_tokens = 0  # reported as available, but never given
        self.fails_to_free = False

    def available_size(self) -> int:
        return len(self._pages) * self.page_size + self.missing_tokens

    def alloc(self, need_size: int) -> Slots | None:
        page_count = need_size // self.page_size
        if page_count > len(self._pages):
            return None
        pages, self.free_pages = self._pages[:page_count], self._pages[page_count:]
        return Slots(page * self.page_size + offset for page in pages for offset in range(self.page_size))

    def free(self, free_index: Slots) -> None:
        if self.fails_to_free:
            raise RuntimeError("free failed")
        pages = sorted({slot // self.page_size for slot in free_index})
        if set(pages) & set(self._pages):
            raise AssertionError("double free")
        self.freed.append(pages)
        self.free_pages = self._pages + pages

    def flush(self) -> None:
        self.free_pages = list(range(1, self.size // self.page_size + 1))

    @property
    def _pages(self) -> list[int]:
        assert self.free_pages is not None
        return self.free_pages


class GreedyAllocator(FakeAllocator):
    """Gives one page less than asked, without saying so."""

    def alloc(self, need_size: int) -> Slots | None:
        return super().alloc(need_size - self.page_size)


class FakeHybridAllocator:
    """Two pools behind one, like SGLang's sliding-window allocator: `alloc` asserts a page size of 1."""

    def __init__(self, *, full_pages: int, window_pages: int, page_size: int = 1) -> None:
        self.page_size = page_size
        self.full_attn_allocator = FakeAllocator(page_count=full_pages, page_size=page_size)
        self.swa_attn_allocator = FakeAllocator(page_count=window_pages, page_size=page_size)
        self.free_pages = None
        self._window_slot: dict[int, int] = {}

    def available_size(self) -> int:
        return min(self.full_attn_allocator.available_size(), self.swa_attn_allocator.available_size())

    def alloc(self, need_size: int) -> Slots | None:
        assert self.page_size == 1
        if need_size > self.available_size():
            return None
        full, window = self.full_attn_allocator.alloc(need_size), self.swa_attn_allocator.alloc(need_size)
        assert full is not None
        assert window is not None
        self._window_slot.update(zip(full, window, strict=True))
        return full

    def free(self, free_index: Slots) -> None:
        self.full_attn_allocator.free(free_index)
        self.swa_attn_allocator.free(Slots(self._window_slot.pop(slot) for slot in free_index))


class FakeRowPool:
    """Rows as in SGLang's middle releases: `alloc` takes requests and replaces the list."""

    def __init__(self, *, row_count: int) -> None:
        self.size = row_count
        self.free_slots = list(range(1, row_count + 1))

    def available_size(self) -> int:
        return len(self.free_slots)

    def alloc(self, reqs: list[Any]) -> list[int] | None:
        rows, self.free_slots = self.free_slots[: len(reqs)], self.free_slots[len(reqs) :]
        return rows


class FakeCountingRowPool(FakeRowPool):
    """Rows as in the oldest releases: `alloc` takes a number."""

    def alloc(self, need_size: int) -> list[int] | None:  # type: ignore[override]
        if need_size > len(self.free_slots):
            return None
        return super().alloc([None] * need_size)

    def free(self, free_index: list[int]) -> None:
        self.free_slots = self.free_slots + free_index


class FakeNewRowPool(FakeRowPool):
    """Rows as in newer releases: `alloc_rows` and `free_rows`, which count generations."""

    def __init__(self, *, row_count: int, missing_rows: int = 0) -> None:
        super().__init__(row_count=row_count)
        self.generations: dict[int, int] = {}
        self.missing_rows = missing_rows

    def available_size(self) -> int:
        return len(self.free_slots) + self.missing_rows

    def alloc_rows(self, need_size: int) -> list[int] | None:
        if need_size > len(self.free_slots):
            return None
        rows = [self.free_slots.pop() for _ in range(need_size)]
        for row in rows:
            self.generations[row] = self.generations.get(row, 0) + 1
        return rows

    def free_rows(self, indices: list[int]) -> None:
        self.free_slots.extend(indices)


@dataclass
class FakeReceipt:
    """What the fake caches' `inc_lock_ref` returns; good for one release of one node."""

    node_id: int

    def to_dec_params(self) -> FakeReceipt:
        return self


@dataclass(eq=False)
class FakeNode:
    """A radix node; `tree` counts how often its children were looked at."""

    id: int
    key: range
    parent: FakeNode | None
    tree: FakeTree
    lock_ref: int = 0
    hit_count: int = 0
    child_by_key: dict[int, FakeNode] = field(default_factory=dict)

    @property
    def children(self) -> dict[int, FakeNode]:
        self.tree.node_visits += 1
        return self.child_by_key


class FakeTree:
    """A radix cache of node objects, as `RadixCache`.

    Attributes:
        node_visits: how often a node's children were looked at, which is once per node and walk.
        pins: ids handed to `inc_lock_ref`, in order.
    """

    def __init__(self) -> None:
        self.disable = False
        self.page_size = 1
        self.node_visits = 0
        self.pins: list[int] = []
        self.released: list[int] = []
        self.refuses: set[int] = set()  # nodes whose lock does nothing
        self.root_node = FakeNode(id=0, key=range(0), parent=None, tree=self, lock_ref=1)
        self.nodes: dict[int, FakeNode] = {}

    def add(self, parent: FakeNode | None = None, *, token_count: int = 1) -> FakeNode:
        above = self.root_node if parent is None else parent
        node = FakeNode(id=len(self.nodes) + 1, key=range(token_count), parent=above, tree=self)
        above.child_by_key[node.id] = node
        self.nodes[node.id] = node
        return node

    def inc_lock_ref(self, node: FakeNode) -> FakeReceipt:
        self.pins.append(node.id)
        if node.id not in self.refuses:
            self._add_to_path(node, 1)
        return FakeReceipt(node_id=node.id)

    def dec_lock_ref(self, node: FakeNode, params: FakeReceipt) -> None:
        assert params.node_id == node.id, "receipt of another node"
        self.released.append(node.id)
        if node.id not in self.refuses:
            self._add_to_path(node, -1)

    def evictable_size(self) -> int:
        return sum(len(node.key) for node in self.nodes.values() if node.lock_ref == 0)

    def locks(self) -> dict[int, int]:
        return {node.id: node.lock_ref for node in self.nodes.values()}

    def _add_to_path(self, node: FakeNode, delta: int) -> None:
        here: FakeNode | None = node
        while here is not None and here is not self.root_node:
            here.lock_ref += delta
            assert here.lock_ref >= 0, "released more often than locked"
            here = here.parent


def random_tree(node_count: int, *, seed: int, locked_paths: int = 0) -> FakeTree:
    """A tree whose nodes hang under random earlier ones, some locked as running requests lock them."""
    rng = random.Random(seed)
    tree = FakeTree()
    nodes: list[FakeNode | None] = [None]
    for _ in range(node_count):
        nodes.append(tree.add(rng.choice(nodes), token_count=rng.randint(1, 8)))
    for _ in range(locked_paths if node_count else 0):
        tree._add_to_path(tree.nodes[rng.randint(1, node_count)], 1)
    return tree


class WindowedNode(FakeNode):
    """A node of the older sliding-window cache, whose window slots may be gone."""

    full_lock_ref = 0
    swa_lock_ref = 0
    swa_tombstone = False


class FakeWindowedTree(FakeTree):
    """As `SWARadixCache`: locking asserts that no window slot on the way was evicted, after it began."""

    def __init__(self, *, sliding_window_size: int) -> None:
        super().__init__()
        self.sliding_window_size = sliding_window_size

    def add(self, parent: FakeNode | None = None, *, token_count: int = 1) -> WindowedNode:
        above = self.root_node if parent is None else parent
        node = WindowedNode(id=len(self.nodes) + 1, key=range(token_count), parent=above, tree=self)
        above.child_by_key[node.id] = node
        self.nodes[node.id] = node
        return node

    def evictable_size(self) -> int:
        raise NotImplementedError

    def _add_to_path(self, node: Any, delta: int) -> None:
        covered = 0
        while node is not self.root_node:
            node.full_lock_ref += delta
            if covered < self.sliding_window_size:
                assert not node.swa_tombstone, "window lock on a tombstone"
                covered += len(node.key)
            node = node.parent


@dataclass
class FakeScheduler:
    """A scheduler with the four attributes that the exhausters read."""

    page_size: int = 1
    tree_cache: Any = field(default_factory=FakeTree)
    token_to_kv_pool_allocator: Any = field(default_factory=lambda: FakeAllocator(page_count=64))
    req_to_token_pool: Any = field(default_factory=lambda: FakeRowPool(row_count=8))

    @property
    def engine(self) -> SGLangEngine:
        """This scheduler as the harness sees it."""
        return SGLangEngine(self)


def engine_over(tree_cache: Any) -> SGLangEngine:
    """An engine of which only the tree cache is asked."""
    return FakeScheduler(tree_cache=tree_cache).engine
