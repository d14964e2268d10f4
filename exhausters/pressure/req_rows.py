"""Takes free rows of the request-to-token pool away from the scheduler."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, ClassVar, Protocol

from exhausters.errors import AllocationShortError
from exhausters.pressure.base import Exhauster, attempt_all
from exhausters.pressure.kind import ExhausterKind, check_level

Rows = list[int]


class RowScheduler(Protocol):
    """The part of the scheduler that is needed here."""

    req_to_token_pool: Any


class ScriptedReqRowExhauster(Exhauster):
    """Holds free request rows back, so that fewer requests can run at once.

    Each running request owns one row; the scheduler admits no more prefills than rows are free.
    Which rows are taken makes no difference to any decision.
    """

    level_name: ClassVar[str] = "leave_rows"

    def __init__(self, scheduler: RowScheduler) -> None:
        super().__init__()
        self.scheduler = scheduler
        self._taken: list[Rows] = []

    @property
    def held_rows(self) -> int:
        """Rows held back now."""
        return sum(len(rows) for rows in self._taken)

    def exhaust(self, *, leave_rows: int) -> None:
        """Take free rows until `leave_rows` are left; nothing when no more are free.

        May be called again, with any level; earlier takings stay.

        Raises:
            LevelError: `leave_rows` is not an integer >= 0.
            AllocationShortError: the pool gave less than it reported; it got that back.
        """
        self._take(check_level(self.level_name, leave_rows))

    def _take(self, level: int) -> None:
        pool = self.scheduler.req_to_token_pool
        available = pool.available_size()
        need = available - level
        if need <= 0:
            return
        alloc, free = _row_interface(pool)
        rows = alloc(need)
        given = 0 if rows is None else len(rows)
        if rows is None or given != need:
            if rows:
                free(rows)
            raise AllocationShortError(
                f"wanted {need} request rows, {type(pool).__name__} gave {given} of {available} available: "
                "it reports as available what it cannot allocate",
                wanted_tokens=need,
                given_tokens=given,
                available_tokens=available,
            )
        self._taken.append(list(rows))

    def _give_back(self) -> None:
        taken, self._taken = self._taken, []
        _, free = _row_interface(self.scheduler.req_to_token_pool)
        attempt_all("giving back request rows", [_freeing(free, rows) for rows in reversed(taken)])


KIND = ExhausterKind(
    level_name=ScriptedReqRowExhauster.level_name,
    unit="rows",
    scarce="free request rows",
    meaning="how many free request rows are left to the scheduler",
    heading="leave\nrows",
    factory=lambda engine, _submitted_prompts: ScriptedReqRowExhauster(engine),
    holds=("held_rows",),
    always_shown=True,
)


def _freeing(free: Callable[[Rows], object], rows: Rows) -> Callable[[], object]:
    return lambda: free(rows)


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
