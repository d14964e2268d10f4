"""The base class of all exhausters: one level, held or not, and a release that attempts every part."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import ClassVar, Self

from exhausters.engine.api import MethodPoint
from exhausters.errors import PressureError
from exhausters.pressure.level_values import check_level

# What an exhauster's method does, among the names of `MethodPoint.phase`.
TAKE = "take"


class Exhauster(ABC):
    """Holds back one scarce resource until released; a context manager that releases on exit.

    `exhaust` takes once. `hold` takes now and again at every `reapply`, which the harness calls
    at each step. Nothing is given back before `release`: a level that falls below what is left
    because requests took it is the pressure that was asked for, not a debt of the exhauster.
    """

    level_name: ClassVar[str]

    def __init__(self) -> None:
        self._held_level: int | None = None

    @abstractmethod
    def _take(self, level: int) -> None:
        """Take what exceeds `level`, which has been checked; nothing when nothing exceeds it."""

    @abstractmethod
    def _give_back(self) -> None:
        """Return everything, newest first; attempt all of it even when a part fails."""

    @property
    def held_level(self) -> int | None:
        """The level that `reapply` restores; None when nothing is being held."""
        return self._held_level

    def take_once(self, level: int) -> None:
        """Take down to `level`, whatever the resource: `exhaust` under one name for all.

        Raises:
            LevelError: `level` is not an integer >= 0.
            PressureError: what the taking itself raises.
        """
        self._take(check_level(self.level_name, level))

    def hold(self, level: int) -> None:
        """Take down to `level` now, and again at every `reapply` until `release`.

        Raises:
            LevelError: `level` is not an integer >= 0.
            PressureError: what the taking itself raises; nothing is held then.
        """
        checked = check_level(self.level_name, level)
        self._take(checked)
        self._held_level = checked

    def reapply(self) -> None:
        """Take again down to the held level; does nothing when no level is held."""
        if self._held_level is not None:
            self._take(self._held_level)

    def release(self) -> None:
        """Stop holding and give everything back, newest first; a second call does nothing.

        Raises:
            PressureError: a part could not be given back; the rest was.
        """
        self._held_level = None
        self._give_back()

    def taking_point(self) -> MethodPoint:
        """Return the method that all taking goes through, for what times it."""
        return MethodPoint(owner=self, name="_take", phase=TAKE)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()


def attempt_all(what: str, attempts: Iterable[Callable[[], object]]) -> None:
    """Make every attempt, then raise if any failed.

    Args:
        what: what was attempted, for the message.
        attempts: callables in the order in which they are made.

    Raises:
        PressureError: names every failure; its cause is the group of them all.
    """
    failures: list[Exception] = []
    for attempt in attempts:
        try:
            attempt()
        except Exception as error:  # any kind: the next attempt must still be made
            failures.append(error)
    if failures:
        reasons = "; ".join(f"{type(error).__name__}: {error}" for error in failures)
        raise PressureError(f"{what} failed {len(failures)} time(s): {reasons}") from ExceptionGroup(
            what, failures
        )
