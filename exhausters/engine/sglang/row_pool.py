"""The request-to-token pool, in the three forms in which releases hand out its rows."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from exhausters.errors import AllocationShortError, ConservationError, UnsupportedSettingError

Rows = list[int]


class SGLangRowPool:
    """`exhausters.engine.api.RowPool` over a scheduler's `req_to_token_pool`."""

    def __init__(self, scheduler: Any) -> None:
        self._scheduler = scheduler

    @property
    def total_rows(self) -> int:
        """Request rows in all, those for requests in transfer included."""
        pool = self._scheduler.req_to_token_pool
        return int(pool.size) + int(getattr(pool, "pre_alloc_size", 0))

    def available_rows(self) -> int:
        """Request rows that are free."""
        return int(self._scheduler.req_to_token_pool.available_size())

    def take(self, count: int) -> Rows:
        """Take free rows, all or nothing; raises UnsupportedSettingError where admission looks at none."""
        if not _admits_by_free_rows(self._scheduler):
            raise UnsupportedSettingError(
                "leave_rows: this scheduler admits by how many requests run, and not by which rows are free; "
                "it would end at a row that is withheld; take 0.5.12 or a newer release, or leave all rows"
            )
        pool = self._scheduler.req_to_token_pool
        available = pool.available_size()
        alloc, free = _row_interface(pool)
        rows = alloc(count)
        given = 0 if rows is None else len(rows)
        if rows is None or given != count:
            if rows:
                free(rows)
            raise AllocationShortError(
                f"wanted {count} request rows, {type(pool).__name__} gave {given} of {available} available: "
                "it reports as available what it cannot allocate",
                wanted_tokens=count,
                given_tokens=given,
                available_tokens=available,
            )
        return list(rows)

    def give_back(self, rows: Sequence[int]) -> None:
        """Return rows to the pool; raises ConservationError when a flush has made them free already."""
        available, total = self.available_rows(), self.total_rows
        # SGLang would take them a second time, and give one row to two requests.
        if available + len(rows) > total:
            raise ConservationError(
                f"{available} request rows are free and {len(rows)} held, of {total}: SGLang's cache was "
                "flushed while rows were held; release the pressure before a flush"
            )
        _, free = _row_interface(self._scheduler.req_to_token_pool)
        free(list(rows))


def _admits_by_free_rows(scheduler: Any) -> bool:
    """Whether admission asks the pool for its free rows.

    Before May 2026 it did so with several pipeline stages alone; that condition is what tells the two apart.
    """
    admission = getattr(type(scheduler), "get_num_allocatable_reqs", None)
    code = getattr(admission, "__code__", None)
    return code is None or "pp_size" not in code.co_names


def _row_interface(pool: Any) -> tuple[Callable[[int], Rows | None], Callable[[Rows], object]]:
    """How this pool hands out rows that belong to no request: (alloc, free).

    Three forms are known. Newer pools have `alloc_rows(n)` and `free_rows(rows)`. The oldest `alloc`
    takes a number. The ones between take `alloc(reqs)` and write the row into each request, so a
    row without a request can only come out of their `free_slots` list.
    """
    if hasattr(pool, "alloc_rows") and hasattr(pool, "free_rows"):
        return pool.alloc_rows, pool.free_rows
    if "need_size" in inspect.signature(pool.alloc).parameters:
        return pool.alloc, pool.free
    return lambda count: _pop_slots(pool, count), lambda rows: pool.free_slots.extend(rows)


def _pop_slots(pool: Any, count: int) -> Rows | None:
    # Read the list anew each time: some pools replace it at every allocation.
    slots: Rows = pool.free_slots
    if count > len(slots):
        return None
    rows = slots[len(slots) - count :]
    del slots[len(slots) - count :]
    return rows
