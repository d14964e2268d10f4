"""All exhausters of one engine together: takes, takes again, and gives back in reverse order."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import Self

from exhausters.engine.api import Engine
from exhausters.pressure.base import Exhauster, attempt_all
from exhausters.pressure.kv_pool import ScriptedKvPoolExhauster
from exhausters.pressure.levels import PressureLevels
from exhausters.pressure.lock_refs import ScriptedLockRefExhauster
from exhausters.pressure.req_rows import ScriptedReqRowExhauster


@dataclass(frozen=True, kw_only=True)
class PressureHoldings:
    """What is held back at one moment."""

    held_tokens: int
    held_pages: int
    pinned_nodes: int
    pinned_tokens: int
    held_rows: int


class PressureSet:
    """The exhausters of one scheduler, as one context manager.

    Attributes:
        kv_pool, lock_refs, req_rows: the exhausters; what is taken through them directly is released as well.
    """

    def __init__(self, engine: Engine) -> None:
        self.kv_pool = ScriptedKvPoolExhauster(engine)
        self.lock_refs = ScriptedLockRefExhauster(engine)
        self.req_rows = ScriptedReqRowExhauster(engine)
        # In the order of taking. Locks first: a lock never needs a page, and a page never a lock.
        self._exhausters: tuple[Exhauster, ...] = (self.lock_refs, self.kv_pool, self.req_rows)

    def apply(self, levels: PressureLevels) -> None:
        """Take down to every level given, once or held; all or nothing.

        Raises:
            PressureError: a level could not be taken; everything held was released.
        """
        given = levels.given()
        try:
            for exhauster in self._exhausters:
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

    def reapply(self) -> None:
        """Take again what is held; the harness calls this at every step.

        Raises:
            PressureError: a held level could not be taken again.
        """
        for exhauster in self._exhausters:
            exhauster.reapply()

    def holdings(self) -> PressureHoldings:
        """What is held back now."""
        return PressureHoldings(
            held_tokens=self.kv_pool.held_tokens,
            held_pages=self.kv_pool.held_pages,
            pinned_nodes=self.lock_refs.pinned_nodes,
            pinned_tokens=self.lock_refs.pinned_tokens,
            held_rows=self.req_rows.held_rows,
        )

    def release(self) -> None:
        """Stop holding and give everything back, in reverse order of taking; a second call does nothing.

        Raises:
            PressureError: names every release that failed; all were attempted.
        """
        attempt_all("releasing pressure", [exhauster.release for exhauster in reversed(self._exhausters)])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()
