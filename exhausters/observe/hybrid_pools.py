"""What happens in the pools of a hybrid model beside the full-attention one in one step, for the recorder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from exhausters.engine.api import Engine
from exhausters.pressure import PressureSet
from exhausters.pressure.mamba_slots import MambaSlotExhauster
from exhausters.pressure.window_tokens import WindowTokenExhauster


@dataclass(frozen=True, slots=True, kw_only=True)
class HybridStep:
    """One step of these pools; the fields of `StepRecord` say what each is."""

    window_held_tokens: int = 0
    mamba_held_slots: int = 0
    mamba_evicted_slots: int = 0


_NOTHING = HybridStep()


class HybridPools:
    """Counts evicted states between `start` and `stop`; of an engine without these pools, nothing."""

    def __init__(self, engine: Engine, pressure: PressureSet) -> None:
        self._has_window = engine.window_pool is not None
        self._mamba = engine.mamba_pool
        self._window_exhauster = cast(
            WindowTokenExhauster, pressure.exhauster(WindowTokenExhauster.level_name)
        )
        self._mamba_exhauster = cast(MambaSlotExhauster, pressure.exhauster(MambaSlotExhauster.level_name))
        self._stop_watching: Callable[[], None] | None = None
        self._evicted_slots = 0

    def start(self) -> None:
        """Begin to count; raises SeamError where the engine cannot be watched."""
        if self._mamba is not None:
            self._stop_watching = self._mamba.watch(self)

    def stop(self) -> None:
        """Remove the wrapper; harmless when repeated."""
        if self._stop_watching is not None:
            self._stop_watching()
            self._stop_watching = None

    def take_step(self) -> HybridStep:
        """Return what was counted since the last call, and what is held now."""
        if not self._has_window and self._mamba is None:
            return _NOTHING
        step = HybridStep(
            window_held_tokens=self._window_exhauster.held_window_tokens,
            mamba_held_slots=self._mamba_exhauster.held_mamba_slots,
            mamba_evicted_slots=self._evicted_slots,
        )
        self._evicted_slots = 0
        return step

    def on_mamba_eviction(self, slots: int) -> None:
        """Note cached states that an eviction freed."""
        self._evicted_slots += slots
