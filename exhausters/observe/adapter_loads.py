"""What happens in the slots of adapters in one step, for the recorder."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from exhausters.engine.api import Engine
from exhausters.pressure import PressureSet
from exhausters.pressure.lora_slots import AdapterSlotExhauster


class AdapterLoads:
    """Counts loads between `start` and `stop`; of an engine without adapters, nothing."""

    def __init__(self, engine: Engine, pressure: PressureSet) -> None:
        self._slots = engine.adapter_slots
        self._exhauster = cast(AdapterSlotExhauster, pressure.exhauster(AdapterSlotExhauster.level_name))
        self._stop_watching: Callable[[], None] | None = None
        self._loads = 0

    @property
    def held_slots(self) -> int:
        """Slots that pressure keeps now."""
        return 0 if self._slots is None else self._exhauster.held_lora_slots

    def start(self) -> None:
        """Begin to count; raises SeamError where the engine cannot be watched."""
        if self._slots is not None:
            self._stop_watching = self._slots.watch(self)

    def stop(self) -> None:
        """Remove the wrapper; harmless when repeated."""
        if self._stop_watching is not None:
            self._stop_watching()
            self._stop_watching = None

    def take_step(self) -> int:
        """Return the loads since the last call."""
        loads, self._loads = self._loads, 0
        return loads

    def on_adapter_load(self) -> None:
        """Note a load."""
        self._loads += 1
