"""Whether what an exhauster gave back explains a mark that keeps requests out."""

from __future__ import annotations

from exhausters.engine.api import Engine
from exhausters.pressure import PressureSet


class GivenBack:
    """Knows whether a mark was set when pressure had taken what is free now; for all oracles of a run.

    An engine takes the mark off when a request leaves. What an exhauster gives back no request has left, and
    no engine without exhausters can come to have it: that such a mark stays is no finding.
    """

    def __init__(self, engine: Engine, pressure: PressureSet) -> None:
        self._engine, self._pressure = engine, pressure
        self._step = -1
        self._held = 0
        self._explains = False

    def explains_mark(self, step: int) -> bool:
        """Whether it explains a mark on the running batch after this step; looks once at each step."""
        if step != self._step:
            held, before = self._pressure.held_units(), self._held
            self._step, self._held = step, held
            self._explains = self._engine.is_marked_full() and (self._explains or held < before)
        return self._explains
