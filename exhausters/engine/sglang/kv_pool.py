"""The token-to-KV-pool allocator, in its plain and its hybrid form."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Protocol

from exhausters.engine.sglang import window_pool
from exhausters.errors import AllocationShortError, ConservationError


class _Allocator(Protocol):
    """The part of SGLang's allocators that is needed here; sizes in tokens."""

    def available_size(self) -> int:
        """Free tokens, whole pages."""

    def alloc(self, need_size: int, /) -> Any:
        """A tensor of `need_size` slots, or None."""

    def free(self, free_index: Any, /) -> Any:
        """Take back slots that `alloc` gave."""


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """Token slots taken from one allocator; `slots` is the allocator's own tensor."""

    allocator: _Allocator
    slots: Any
    token_count: int

    def free(self) -> None:
        _refuse_double_free(self)
        self.allocator.free(self.slots)


class SGLangKvPool:
    """`exhausters.engine.api.KvPool` over the allocator's own `alloc` and `free`.

    A hybrid sliding-window allocator reports the smaller of its two pools as available, and the same number
    of tokens is taken from both. From page size 2 on its own `alloc` refuses plain requests; the two pools
    inside it are then asked directly.
    """

    def __init__(self, scheduler: Any) -> None:
        self._scheduler = scheduler

    @property
    def page_size(self) -> int:
        """Tokens per page."""
        return int(self._scheduler.page_size)

    @property
    def total_tokens(self) -> int:
        """KV tokens of the full-attention pool."""
        allocator = self._scheduler.token_to_kv_pool_allocator
        return int(allocator.size_full if window_pool.is_hybrid(self._scheduler) else allocator.size)

    @property
    def window_total_tokens(self) -> int | None:
        """KV tokens of the sliding-window pool."""
        return window_pool.total_tokens(self._scheduler)

    def available_tokens(self) -> int:
        """Tokens that can be taken now."""
        return _available_tokens(self._scheduler.token_to_kv_pool_allocator)

    def take(self, tokens: int) -> object:
        """Take tokens from the allocator, or from both pools of a hybrid one; all or nothing."""
        allocator = self._scheduler.token_to_kv_pool_allocator
        available = _available_tokens(allocator)
        taken: list[_Part] = []
        for pool in _pools_to_ask(allocator, self.page_size):
            slots = pool.alloc(tokens)
            given = 0 if slots is None else len(slots)
            if given:
                taken.append(_Part(pool, slots, given))
            if given != tokens:
                _free_all(taken)
                raise AllocationShortError(
                    f"wanted {tokens} tokens, {type(pool).__name__} gave {given} of {available} available: "
                    "it reports as available what it cannot allocate",
                    wanted_tokens=tokens,
                    given_tokens=given,
                    available_tokens=available,
                )
        return taken

    def give_back(self, taking: Any) -> None:
        """Free the slots of one taking, newest first."""
        _free_all(taking)


def _available_tokens(allocator: Any) -> int:
    """Tokens that can be taken; in 0.5.8 a hybrid allocator says it of each of its pools alone."""
    try:
        return int(allocator.available_size())
    except NotImplementedError:
        return min(int(allocator.full_available_size()), int(allocator.swa_available_size()))


def _free_all(parts: list[_Part]) -> None:
    # Newest first, and each is attempted even when one fails.
    with ExitStack() as stack:
        for part in parts:
            stack.callback(part.free)


def _pools_to_ask(allocator: Any, page_size: int) -> list[_Allocator]:
    """The allocators to take from: the given one, or the two inside a paged hybrid one.

    SGLang's hybrid sliding-window allocator asserts a page size of 1 in `alloc`. The variant over
    one shared buffer serves any page size itself; its inner pools cannot be asked one by one,
    which shows in `alloc_with_virtual`.
    """
    full = getattr(allocator, "full_attn_allocator", None)
    window = getattr(allocator, "swa_attn_allocator", None)
    if page_size == 1 or full is None or window is None or full is window:
        return [allocator]
    if hasattr(window, "alloc_with_virtual"):
        return [allocator]
    return [full, window]


def _refuse_double_free(part: _Part) -> None:
    """Raise when the slots are free already, because a flush reset the allocator meanwhile.

    Only plain allocators are checked: they have a free list and a size of their own.
    """
    size = getattr(part.allocator, "size", None)
    if getattr(part.allocator, "free_pages", None) is None or not isinstance(size, int):
        return
    available = part.allocator.available_size()
    if available + part.token_count > size:
        raise ConservationError(
            f"{available} tokens are free and {part.token_count} held, of {size}: SGLang's cache was "
            "flushed while pages were held; release the pressure before a flush"
        )
