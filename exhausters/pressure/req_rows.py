"""Takes free request rows away from the scheduler."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, Protocol

from exhausters.engine.api import RowPool
from exhausters.pressure.base import Exhauster, attempt_all
from exhausters.pressure.kind import ExhausterKind
from exhausters.pressure.level_values import check_level


class HasRowPool(Protocol):
    """The part of an engine that is needed here."""

    @property
    def row_pool(self) -> RowPool:
        """The request rows."""


class ScriptedReqRowExhauster(Exhauster):
    """Holds free request rows back, so that fewer requests can run at once.

    Each running request owns one row; the scheduler admits no more prefills than rows are free.
    Which rows are taken makes no difference to any decision.
    """

    level_name: ClassVar[str] = "leave_rows"

    def __init__(self, engine: HasRowPool) -> None:
        super().__init__()
        self._engine = engine
        self._taken: list[Sequence[int]] = []

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
        pool = self._engine.row_pool
        need = pool.available_rows() - level
        if need > 0:
            self._taken.append(pool.take(need))

    def _give_back(self) -> None:
        taken, self._taken = self._taken, []
        pool = self._engine.row_pool
        attempt_all("giving back request rows", [_giving_back(pool, rows) for rows in reversed(taken)])


def _giving_back(pool: RowPool, rows: Sequence[int]) -> Callable[[], None]:
    return lambda: pool.give_back(rows)


KIND = ExhausterKind(
    level_name=ScriptedReqRowExhauster.level_name,
    unit="rows",
    scarce="free request rows",
    meaning="how many free request rows are left to the scheduler",
    heading="leave\nrows",
    factory=ScriptedReqRowExhauster,
    holds=("held_rows",),
    always_shown=True,
)
