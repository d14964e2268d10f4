"""Takes free pages of the cache's second tier, in host memory, away from the scheduler."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol

from exhausters.engine.api import HostPool
from exhausters.errors import UnsupportedSettingError
from exhausters.pressure.base import Exhauster, attempt_all
from exhausters.pressure.kind import ExhausterKind


class HasHostPool(Protocol):
    """The part of an engine that is needed here."""

    @property
    def host_pool(self) -> HostPool | None:
        """The cache's pages in host memory."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Taken:
    """What was taken from the pool in one go."""

    taking: object
    count_tokens: int


class HostPoolExhauster(Exhauster):
    """Holds free host pages back through the pool's own calls.

    As `leave_pages` does on the device, it acts on free pages only: what the cache keeps on the host stays
    evictable there, and may make room for another backup within a step.

    Release before the engine flushes its cache: a flush hands out every page anew, the held ones included.
    """

    level_name: ClassVar[str] = "leave_host_pages"

    def __init__(self, engine: HasHostPool) -> None:
        super().__init__()
        self._engine = engine
        self._taken: list[_Taken] = []

    @property
    def held_host_tokens(self) -> int:
        """Host tokens held back now."""
        return sum(taken.count_tokens for taken in self._taken)

    def _take(self, level: int) -> None:
        pool = self._pool(level)
        need = pool.available_tokens() - level * pool.page_size
        # The pool gives out whole pages.
        need -= need % pool.page_size
        if need > 0:
            self._taken.append(_Taken(taking=pool.take(need), count_tokens=need))

    def _pool(self, level: int) -> HostPool:
        """The pool; raises UnsupportedSettingError when the engine was booted without one."""
        pool = self._engine.host_pool
        if pool is None:
            raise UnsupportedSettingError(
                f"{self.level_name}={level}: this engine has no cache in host memory; boot it with "
                'server_args.enable_hierarchical_cache = [true], or leave the level at "all"'
            )
        return pool

    def _give_back(self) -> None:
        taken, self._taken = self._taken, []
        pool = self._engine.host_pool if taken else None
        if pool is not None:
            attempt_all("giving back host pages", [_giving_back(pool, one) for one in reversed(taken)])


def _giving_back(pool: HostPool, taken: _Taken) -> Callable[[], None]:
    return lambda: pool.give_back(taken.taking)


KIND = ExhausterKind(
    level_name=HostPoolExhauster.level_name,
    unit="pages",
    scarce="free host pages",
    meaning="how many free pages of the cache in host memory are left to the scheduler",
    heading="leave\nhost\npages",
    factory=HostPoolExhauster,
    holds=("held_host_tokens",),
)
