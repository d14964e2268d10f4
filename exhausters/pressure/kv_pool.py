"""Takes free KV pages away from the scheduler."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol

from exhausters.engine.api import KvPool
from exhausters.pressure.base import Exhauster, attempt_all
from exhausters.pressure.kind import ExhausterKind
from exhausters.pressure.level_values import check_level


class HasKvPool(Protocol):
    """The part of an engine that is needed here."""

    @property
    def kv_pool(self) -> KvPool:
        """The KV pages."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Taken:
    """What was taken from the pool in one go."""

    taking: object
    count_tokens: int


class ScriptedKvPoolExhauster(Exhauster):
    """Holds free KV pages back through the engine's own allocator.

    Acts on free pages only: pages of the radix cache stay evictable, and what the scheduler evicts
    becomes free again (held mode takes it at the next step). Pages come back newest first; their order inside
    the free list is the allocator's business. Of a hybrid model the same number of tokens is taken from both
    pools, so that the smaller one is left with `leave_pages`.

    Release before the engine flushes its cache: a flush hands out every page anew, the held ones included.
    """

    level_name: ClassVar[str] = "leave_pages"

    def __init__(self, engine: HasKvPool) -> None:
        super().__init__()
        self._engine = engine
        self._taken: list[_Taken] = []

    @property
    def held_tokens(self) -> int:
        """KV tokens held back now; a hybrid model's pair of tokens counts once."""
        return sum(taken.count_tokens for taken in self._taken)

    @property
    def held_pages(self) -> int:
        """Pages held back now."""
        return self.held_tokens // self._engine.kv_pool.page_size

    def exhaust(self, *, leave_pages: int) -> None:
        """Take free pages until `leave_pages` are left; nothing when no more are free.

        May be called again, with any level; earlier takings stay.

        Raises:
            LevelError: `leave_pages` is not an integer >= 0.
            AllocationShortError: the allocator gave less than it reported; it got that back.
        """
        self._take(check_level(self.level_name, leave_pages))

    def _take(self, level: int) -> None:
        pool = self._engine.kv_pool
        page_size = pool.page_size
        need = pool.available_tokens() - level * page_size
        # Paged allocators hand out whole pages and count whole pages; a remainder would be lost.
        need -= need % page_size
        if need > 0:
            self._taken.append(_Taken(taking=pool.take(need), count_tokens=need))

    def _give_back(self) -> None:
        taken, self._taken = self._taken, []
        pool = self._engine.kv_pool
        attempt_all("giving back KV pages", [_giving_back(pool, one) for one in reversed(taken)])


def _giving_back(pool: KvPool, taken: _Taken) -> Callable[[], None]:
    return lambda: pool.give_back(taken.taking)


KIND = ExhausterKind(
    level_name=ScriptedKvPoolExhauster.level_name,
    unit="pages",
    scarce="free KV pages",
    meaning="how many free KV pages are left to the scheduler",
    heading="leave\npages",
    factory=ScriptedKvPoolExhauster,
    holds=("held_tokens", "held_pages"),
    always_shown=True,
)
