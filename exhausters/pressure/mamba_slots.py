"""Takes free slots of recurrent states (mamba, linear attention) away from the scheduler."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol

from exhausters.engine.api import MambaPool
from exhausters.errors import UnsupportedSettingError
from exhausters.pressure.base import Exhauster, attempt_all
from exhausters.pressure.kind import ExhausterKind


class HasMambaPool(Protocol):
    """The part of an engine that is needed here."""

    @property
    def mamba_pool(self) -> MambaPool | None:
        """The slots of recurrent states."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Taken:
    """What was taken from the pool in one go."""

    taking: object
    count_slots: int


class MambaSlotExhauster(Exhauster):
    """Holds free slots back, so that fewer states can be cached beside those that requests compute with.

    Acts on free slots only: states that the radix cache keeps stay evictable.

    Release before the engine flushes its cache: a flush hands out every slot anew, the held ones included.
    """

    level_name: ClassVar[str] = "leave_mamba_slots"

    def __init__(self, engine: HasMambaPool) -> None:
        super().__init__()
        self._engine = engine
        self._taken: list[_Taken] = []

    @property
    def held_mamba_slots(self) -> int:
        """Slots held back now."""
        return sum(taken.count_slots for taken in self._taken)

    def _take(self, level: int) -> None:
        pool = self._pool(level)
        need = pool.available_slots() - level
        if need > 0:
            self._taken.append(_Taken(taking=pool.take(need), count_slots=need))

    def _pool(self, level: int) -> MambaPool:
        """The pool; raises UnsupportedSettingError when the engine has none, or not so many slots."""
        pool = self._engine.mamba_pool
        if pool is None:
            raise UnsupportedSettingError(
                f"{self.level_name}={level}: this engine has no pool of mamba slots that can be counted; "
                'boot it with model = ["hybrid_mamba"], or leave the level at "all"'
            )
        if level > pool.total_slots:
            raise UnsupportedSettingError(
                f"{self.level_name}={level}: the pool has {pool.total_slots} mamba slots in all; expected a "
                'level up to that, or "all"'
            )
        return pool

    def _give_back(self) -> None:
        taken, self._taken = self._taken, []
        pool = self._engine.mamba_pool if taken else None
        if pool is not None:
            attempt_all("giving back mamba slots", [_giving_back(pool, one) for one in reversed(taken)])


def _giving_back(pool: MambaPool, taken: _Taken) -> Callable[[], None]:
    return lambda: pool.give_back(taken.taking)


KIND = ExhausterKind(
    level_name=MambaSlotExhauster.level_name,
    unit="slots",
    scarce="free mamba slots",
    meaning="how many free slots of recurrent states are left to the scheduler",
    heading="leave\nmamba\nslots",
    factory=MambaSlotExhauster,
    holds=("held_mamba_slots",),
)
