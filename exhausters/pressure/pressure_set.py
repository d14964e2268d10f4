"""All exhausters of one engine together: takes, takes again, and gives back in reverse order."""

from __future__ import annotations

from types import TracebackType
from typing import Self, cast

from exhausters.engine.api import Engine
from exhausters.pressure.base import Exhauster, attempt_all
from exhausters.pressure.holdings import PressureHoldings
from exhausters.pressure.kv_pool import ScriptedKvPoolExhauster
from exhausters.pressure.levels import PressureLevels
from exhausters.pressure.lock_refs import ScriptedLockRefExhauster
from exhausters.pressure.registry import kind_of, kinds
from exhausters.pressure.req_rows import ScriptedReqRowExhauster


class PressureSet:
    """The exhausters of one scheduler, as one context manager.

    Attributes:
        kv_pool, lock_refs, req_rows: the three of SGLang's scripted runtime; what is taken through them
            directly is released as well. `exhauster(level_name)` returns any.
    """

    def __init__(self, engine: Engine) -> None:
        """Make every registered exhauster; each kind's factory is given `engine`."""
        self._engine = engine
        self._made: dict[str, Exhauster] = {}
        # In the order of taking.
        self._order: tuple[Exhauster, ...] = ()
        self._amounts: list[tuple[Exhauster, str]] = []
        self._make_missing()
        self.kv_pool = cast(ScriptedKvPoolExhauster, self.exhauster(ScriptedKvPoolExhauster.level_name))
        self.lock_refs = cast(ScriptedLockRefExhauster, self.exhauster(ScriptedLockRefExhauster.level_name))
        self.req_rows = cast(ScriptedReqRowExhauster, self.exhauster(ScriptedReqRowExhauster.level_name))

    def exhauster(self, level_name: str) -> Exhauster:
        """Return the exhauster that has this level.

        Raises:
            LevelError: no registered exhauster has it; lists what there is.
        """
        kind = kind_of(level_name)
        self._make_missing()
        return self._made[kind.level_name]

    def _make_missing(self) -> None:
        # A kind may be registered after the scheduler came up.
        missing = [kind for kind in kinds() if kind.level_name not in self._made]
        if missing:
            for kind in missing:
                self._made[kind.level_name] = kind.factory(self._engine)
            by_rank = sorted(kinds(), key=lambda kind: kind.rank)
            self._order = tuple(self._made[kind.level_name] for kind in by_rank)
            # One amount of each tells how much of it is held.
            self._amounts = [
                (self._made[kind.level_name], name) for kind in kinds() for name in kind.holds[:1]
            ]

    def apply(self, levels: PressureLevels) -> None:
        """Take down to every level given, once or held; all or nothing.

        Raises:
            LevelError: a level that no exhauster of this process has; nothing was taken.
            PressureError: a level could not be taken; everything held was released.
        """
        given = levels.given()
        for name in given:
            kind_of(name)
        self._make_missing()
        try:
            for exhauster in self._order:
                level = given.get(exhauster.level_name)
                if level is None:
                    continue
                if levels.held:
                    exhauster.hold(level)
                else:
                    exhauster.take_once(level)
        except BaseException:
            self.release()
            raise

    def take_once(self, level_name: str, level: int) -> None:
        """Take down to one level, on top of what is held.

        Raises:
            LevelError: no registered exhauster has it, or a bad level.
            PressureError: it could not be taken.
        """
        self.exhauster(level_name).take_once(level)

    def reapply(self) -> None:
        """Take again what is held; the harness calls this at every step.

        Raises:
            PressureError: a held level could not be taken again.
        """
        for exhauster in self._order:
            exhauster.reapply()

    def holdings(self) -> PressureHoldings:
        """What is held back now, by the names that the kinds declare."""
        self._make_missing()
        made = [(self._made[kind.level_name], kind.holds) for kind in kinds()]
        return PressureHoldings(**{name: int(getattr(one, name)) for one, names in made for name in names})

    def held_units(self) -> int:
        """The sum of what every exhauster holds, whatever its unit: less than before means given back."""
        return sum([getattr(one, name) for one, name in self._amounts])

    def release(self) -> None:
        """Stop holding and give everything back, in reverse order of taking; a second call does nothing.

        Raises:
            PressureError: names every release that failed; all were attempted.
        """
        attempt_all("releasing pressure", [exhauster.release for exhauster in reversed(self._order)])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()
