"""Takes free tokens of the sliding-window layers of a hybrid model away from the scheduler."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol

from exhausters.engine.api import WindowPool
from exhausters.errors import UnsupportedSettingError
from exhausters.pressure.base import Exhauster, attempt_all
from exhausters.pressure.kind import ExhausterKind


class HasWindowPool(Protocol):
    """The part of an engine that is needed here."""

    @property
    def window_pool(self) -> WindowPool | None:
        """The tokens of sliding-window layers."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Taken:
    """What was taken from the pool in one go."""

    taking: object
    count_tokens: int


class WindowTokenExhauster(Exhauster):
    """Holds free window tokens back, and leaves the tokens of the full-attention layers alone.

    As `leave_pages` does it acts on free tokens only: window tokens of the radix cache stay evictable. A
    level that is no multiple of the page size leaves the next whole page.

    Release before the engine flushes its cache: a flush hands out every token anew, the held ones included.
    """

    level_name: ClassVar[str] = "leave_window_tokens"

    def __init__(self, engine: HasWindowPool) -> None:
        super().__init__()
        self._engine = engine
        self._taken: list[_Taken] = []

    @property
    def held_window_tokens(self) -> int:
        """Window tokens held back now, without those that `leave_pages` holds."""
        return sum(taken.count_tokens for taken in self._taken)

    def _take(self, level: int) -> None:
        pool = self._pool(level)
        need = pool.available_tokens() - level
        # The pool gives out whole pages.
        need -= need % pool.page_size
        if need > 0:
            self._taken.append(_Taken(taking=pool.take(need), count_tokens=need))

    def _pool(self, level: int) -> WindowPool:
        """The pool; raises UnsupportedSettingError when the engine has none, or not so many tokens."""
        pool = self._engine.window_pool
        if pool is None:
            raise UnsupportedSettingError(
                f"{self.level_name}={level}: this engine has no pool of window tokens that can be counted; "
                'boot it with model = ["hybrid_swa"] and a radix cache, or leave the level at "all"'
            )
        if level > pool.total_tokens:
            raise UnsupportedSettingError(
                f"{self.level_name}={level}: the pool has {pool.total_tokens} window tokens in all; expected "
                'a level up to that, or "all"'
            )
        return pool

    def _give_back(self) -> None:
        taken, self._taken = self._taken, []
        pool = self._engine.window_pool if taken else None
        if pool is not None:
            attempt_all("giving back window tokens", [_giving_back(pool, one) for one in reversed(taken)])


def _giving_back(pool: WindowPool, taken: _Taken) -> Callable[[], None]:
    return lambda: pool.give_back(taken.taking)


KIND = ExhausterKind(
    level_name=WindowTokenExhauster.level_name,
    unit="tokens",
    scarce="free window tokens",
    meaning="how many free tokens of the sliding-window layers are left to the scheduler",
    heading="leave\nwindow\ntokens",
    factory=WindowTokenExhauster,
    holds=("held_window_tokens",),
    # After the pages, which are taken from both pools and leave the smaller one with their level.
    rank=2,
)
