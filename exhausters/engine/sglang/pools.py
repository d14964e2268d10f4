"""Reads how full the pools are, after each step, from whatever this release keeps the numbers in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowPool:
    """The sliding-window pool of a hybrid model, in tokens; all 0 for a dense one."""

    free_tokens: int = 0
    evictable_tokens: int = 0
    protected_tokens: int = 0


_NO_WINDOW = WindowPool()


class PoolReader:
    """KV tokens and request rows of one scheduler.

    Attributes:
        total_tokens: KV tokens of the full-attention pool.
        total_rows: request rows.
        is_hybrid: whether there is a sliding-window pool beside the full one.
    """

    def __init__(self, scheduler: Any) -> None:
        allocator = scheduler.token_to_kv_pool_allocator
        tree = scheduler.tree_cache
        self._rows = scheduler.req_to_token_pool
        self._allocator = allocator
        self._tree = tree
        self.is_hybrid = bool(getattr(scheduler, "is_hybrid_swa", False))
        prefix = "full_" if self.is_hybrid else ""
        self._free: Callable[[], Any] = getattr(allocator, f"{prefix}available_size")
        self._evictable: Callable[[], Any] = getattr(tree, f"{prefix}evictable_size")
        self._protected: Callable[[], Any] = getattr(tree, f"{prefix}protected_size")
        self.total_tokens = int(allocator.size_full if self.is_hybrid else allocator.size)
        self.total_rows = int(self._rows.size)

    def free_tokens(self) -> int:
        """Tokens that the allocator can give out."""
        return int(self._free())

    def evictable_tokens(self) -> int:
        """Tokens cached in unlocked nodes."""
        return int(self._evictable())

    def protected_tokens(self) -> int:
        """Tokens cached in locked nodes."""
        return int(self._protected())

    def free_rows(self) -> int:
        """Request rows that are free."""
        return int(self._rows.available_size())

    def window(self) -> WindowPool:
        """The sliding-window pool."""
        if not self.is_hybrid:
            return _NO_WINDOW
        return WindowPool(
            free_tokens=int(self._allocator.swa_available_size()),
            evictable_tokens=int(self._tree.swa_evictable_size()),
            protected_tokens=int(self._tree.swa_protected_size()),
        )
