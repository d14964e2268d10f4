"""The sliding-window pool of a hybrid model: where its tokens are, in all forms in which releases count."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any

from exhausters.engine.sglang.holdings import Holders, path_on

_WINDOW_COMPONENT = "SWA"


class WindowPool:
    """The window side of one hybrid scheduler; its pools and its cache are there from boot to end.

    A request owns the same slots on both sides, but gives the window's back as the window moves on. So the
    window tokens in use are those in use on the full side, without what was given back.
    """

    def __init__(self, scheduler: Any, holders: Holders) -> None:
        self._holders = holders
        self._page_size = int(scheduler.page_size)
        allocator, tree = scheduler.token_to_kv_pool_allocator, scheduler.tree_cache
        self._free: Callable[[], Any] = allocator.swa_available_size
        self._evictable: Callable[[], Any] = tree.swa_evictable_size
        self._protected: Callable[[], Any] = tree.swa_protected_size
        # Slots that a cache which streams between host and device holds for itself, where there is one.
        self._transient: Callable[[], Any] = getattr(tree, "swa_transient_size", int)
        # The first request that holds anything shows where this release keeps its lengths.
        self._given_back: Callable[[Any], int] | None = None

    def free_and_cached(self) -> tuple[int, int, int]:
        """Return the tokens that are free, evictable and protected."""
        return int(self._free()), int(self._evictable()), int(self._protected())

    def in_use(self, full_tokens_in_use: int) -> int:
        """Return the tokens that requests own, and those that the cache holds outside its tree."""
        given_back, read = 0, self._given_back
        for req in self._holders.owners():
            if read is None:
                read = self._given_back = given_back_reader(req, self._page_size)
            given_back += read(req)
        return full_tokens_in_use - given_back + int(self._transient())


def total_tokens(scheduler: Any) -> int | None:
    """Window tokens in all; None for a model without a window pool, and for one that cannot be counted."""
    if not is_hybrid(scheduler) or why_uncounted(scheduler):
        return None
    return int(scheduler.token_to_kv_pool_allocator.size_swa)


def is_hybrid(scheduler: Any) -> bool:
    """Whether there is a sliding-window pool beside the full one."""
    return bool(getattr(scheduler, "is_hybrid_swa", False))


def why_uncounted(scheduler: Any) -> str:
    """Why the window pool of a hybrid scheduler has no fixed total to count to; empty when it has one."""
    allocator = scheduler.token_to_kv_pool_allocator
    if getattr(allocator, "swa_req_ring", False):
        return "each request has a ring of window slots of its own, which come and go with its row"
    if hasattr(getattr(allocator, "swa_attn_allocator", None), "alloc_with_virtual"):
        return "both pools share one buffer, whose parts have no fixed size"
    return ""


def given_back_reader(req: Any, page_size: int) -> Callable[[Any], int]:
    """Return what tells how many window tokens a request has given back while it goes on.

    The window gives back from where the tree's part of the prefix ends, or, where a release shields a part of
    the prompt from it, from the end of that part, in whole pages.

    Args:
        req: a request that owns a row, for the forms in which this release keeps its lengths.
        page_size: tokens per page.
    """
    end = _window_start_reader(req)
    protected: Callable[[Any], int] = attrgetter(path_on(req, "cache_protected_len"))
    floor: Callable[[Any], int] = _floor_reader(req)

    def given_back(one: Any) -> int:
        start, shielded = protected(one), floor(one)
        if shielded > start:
            start = -(-shielded // page_size) * page_size
        return max(0, end(one) - start)

    return given_back


def _window_start_reader(req: Any) -> Callable[[Any], int]:
    """Position up to which the window has moved on: a number, or in newer releases one per component."""
    path = path_on(req, "swa_evicted_seqlen")
    if path.startswith("kv.") or hasattr(req, path):
        return attrgetter(path)
    by_component: Callable[[Any], Any] = attrgetter(path_on(req, "component_evicted_seqlens"))
    return lambda one: sum(
        length for component, length in by_component(one).items() if component.name == _WINDOW_COMPONENT
    )


def _floor_reader(req: Any) -> Callable[[Any], int]:
    path = path_on(req, "swa_evict_floor")
    if path.startswith("kv.") or hasattr(req, path):
        return attrgetter(path)
    return lambda one: 0
