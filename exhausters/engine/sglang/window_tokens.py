"""The tokens of the sliding-window layers as a resource of its own, from the allocator of that side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from exhausters.engine.sglang import window_pool
from exhausters.errors import AllocationShortError, ConservationError


@dataclass(frozen=True, slots=True, eq=False)
class _Taken:
    """Slots taken from the pool; `slots` is its own tensor."""

    slots: Any
    token_count: int


class SGLangWindowPool:
    """`exhausters.engine.api.WindowPool` over the window's allocator inside a hybrid one.

    What is taken here has no partner on the full side, and no page table has it.
    """

    def __init__(self, scheduler: Any) -> None:
        self._scheduler = scheduler
        self._pool = scheduler.token_to_kv_pool_allocator.swa_attn_allocator

    @property
    def page_size(self) -> int:
        """Tokens per page."""
        return int(self._scheduler.page_size)

    @property
    def total_tokens(self) -> int:
        """Tokens in all."""
        return int(self._scheduler.token_to_kv_pool_allocator.size_swa)

    def available_tokens(self) -> int:
        """Free tokens."""
        return int(self._pool.available_size())

    def take(self, tokens: int) -> object:
        """Take tokens; all or nothing."""
        available = self.available_tokens()
        slots = self._pool.alloc(tokens)
        given = 0 if slots is None else len(slots)
        if given != tokens:
            if given:
                self._pool.free(slots)
            raise AllocationShortError(
                f"wanted {tokens} window tokens, {type(self._pool).__name__} gave {given} of {available} "
                "available: it reports as available what it cannot allocate",
                wanted_tokens=tokens,
                given_tokens=given,
                available_tokens=available,
            )
        return _Taken(slots, given)

    def give_back(self, taking: Any) -> None:
        """Free the slots of one taking."""
        available = self.available_tokens()
        if available + taking.token_count > self.total_tokens:
            raise ConservationError(
                f"{available} window tokens are free and {taking.token_count} held, of {self.total_tokens}: "
                "SGLang's cache was flushed while tokens were held; release the pressure before a flush"
            )
        self._pool.free(taking.slots)


def open_window_pool(scheduler: Any) -> SGLangWindowPool | None:
    """Return the window's tokens of a scheduler; None without them, and where they have no fixed number."""
    return SGLangWindowPool(scheduler) if window_pool.total_tokens(scheduler) is not None else None
