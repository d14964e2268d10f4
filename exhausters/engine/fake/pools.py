"""The fake engine's KV pages, request rows and slots of recurrent states: a free list each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from exhausters.engine.api import MambaListener
from exhausters.errors import AllocationShortError, ConservationError


class PagePool:
    """KV pages, given out from the front of the free list and returned to its end; a `KvPool`.

    Attributes:
        page_size: tokens per page.
        total_tokens: tokens of all pages.
        window_total_tokens: None: there is no sliding-window pool.
        free_pages: numbers of the pages that nobody has.
    """

    window_total_tokens: int | None = None

    def __init__(self, *, page_count: int, page_size: int) -> None:
        self.page_size = page_size
        self.total_tokens = page_count * page_size
        self.free_pages: list[int] = []
        self.reset()

    def available_tokens(self) -> int:
        """Tokens of the free pages."""
        return len(self.free_pages) * self.page_size

    def allocate(self, page_count: int) -> list[int] | None:
        """Take pages from the free list; None when there are not so many."""
        if page_count > len(self.free_pages):
            return None
        pages, self.free_pages = self.free_pages[:page_count], self.free_pages[page_count:]
        return pages

    def free(self, pages: Sequence[int]) -> None:
        """Return pages; raises ConservationError, and takes none, when one of them is free already."""
        free = set(self.free_pages)
        if not free.isdisjoint(pages):
            raise ConservationError(
                f"pages {sorted(free & set(pages))} are free already; if the pool was flushed while they "
                "were held, release the pressure before a flush"
            )
        self.free_pages = [*self.free_pages, *pages]

    def reset(self) -> None:
        """Let every page be free."""
        self.free_pages = list(range(1, self.total_tokens // self.page_size + 1))

    def take(self, tokens: int) -> list[int]:
        """Take free pages, all or nothing."""
        available = self.available_tokens()
        pages = self.allocate(tokens // self.page_size)
        if pages is None:
            raise AllocationShortError(
                f"wanted {tokens} tokens, {type(self).__name__} gave 0 of {available} available",
                wanted_tokens=tokens,
                given_tokens=0,
                available_tokens=available,
            )
        return pages

    def give_back(self, taking: Any) -> None:
        """Return one taking."""
        self.free(taking)


class RowTable:
    """Request rows, given out from the end of the free list; a `RowPool`.

    Attributes:
        total_rows: rows in all.
    """

    def __init__(self, *, row_count: int, what: str = "request rows") -> None:
        self.total_rows = row_count
        self._what = what
        self._free_rows: list[int] = []
        self.reset()

    def available_rows(self) -> int:
        """Rows that are free."""
        return len(self._free_rows)

    def take(self, count: int) -> list[int]:
        """Take free rows, all or nothing."""
        available = len(self._free_rows)
        if count > available:
            raise AllocationShortError(
                f"wanted {count} {self._what}, {type(self).__name__} gave 0 of {available} available",
                wanted_tokens=count,
                given_tokens=0,
                available_tokens=available,
            )
        return [self._free_rows.pop() for _ in range(count)]

    def give_back(self, rows: Sequence[int]) -> None:
        """Return rows; raises ConservationError, and takes none, when one of them is free already."""
        free = set(self._free_rows)
        if not free.isdisjoint(rows):
            raise ConservationError(
                f"{self._what} {sorted(free & set(rows))} are free already; if the pool was flushed while "
                "they were held, release the pressure before a flush"
            )
        self._free_rows.extend(rows)

    def reset(self) -> None:
        """Let every row be free."""
        self._free_rows = list(range(1, self.total_rows + 1))


class StateSlots:
    """Slots of recurrent states, one for each request that runs; a `MambaPool`. No state is ever cached.

    Attributes:
        total_slots: slots in all.
    """

    def __init__(self, *, slot_count: int) -> None:
        self.total_slots = slot_count
        self._free = RowTable(row_count=slot_count, what="mamba slots")

    def available_slots(self) -> int:
        """Slots that are free."""
        return self._free.available_rows()

    def take(self, slots: int) -> list[int]:
        """Take free slots, all or nothing."""
        return self._free.take(slots)

    def give_back(self, taking: Any) -> None:
        """Return slots; raises ConservationError, and takes none, when one of them is free already."""
        self._free.give_back(taking)

    def watch(self, listener: MambaListener) -> Callable[[], None]:
        """Nothing is cached, so nothing is evicted."""
        return lambda: None

    def reset(self) -> None:
        """Let every slot be free."""
        self._free.reset()
