"""What happens in the cache's second tier in one step, for the recorder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from exhausters.engine.api import Engine
from exhausters.observe.host_copy_time import HostCopyTime
from exhausters.pressure import PressureSet
from exhausters.pressure.host_pool import HostPoolExhauster


@dataclass(frozen=True, slots=True, kw_only=True)
class HostStep:
    """One step of the second tier; the fields of `StepRecord` say what each is."""

    held_tokens: int = 0
    backed_up_tokens: int = 0
    loaded_back_tokens: int = 0
    evicted_tokens: int = 0
    load_back_wait_ns: int = 0
    backup_wait_ns: int = 0


_NOTHING = HostStep()


class HostTier:
    """Counts copies and frees between `start` and `stop`; of an engine without the tier, nothing."""

    def __init__(
        self, engine: Engine, pressure: PressureSet, *, copy_time: HostCopyTime | None = None
    ) -> None:
        self._pool = engine.host_pool
        self._copy_time = copy_time or HostCopyTime()
        self._exhauster = cast(HostPoolExhauster, pressure.exhauster(HostPoolExhauster.level_name))
        self._stop_watching: Callable[[], None] | None = None
        self._backed_up = self._loaded = self._evicted = 0

    def start(self) -> None:
        """Begin to count; raises SeamError where the engine cannot be watched."""
        if self._pool is not None:
            self._stop_watching = self._pool.watch(self)

    def stop(self) -> None:
        """Remove the wrappers; harmless when repeated."""
        if self._stop_watching is not None:
            self._stop_watching()
            self._stop_watching = None

    def take_step(self, forward_ns: int) -> HostStep:
        """Return what was counted since the last call, with the waits beside a forward of `forward_ns`."""
        pool = self._pool
        if pool is None:
            return _NOTHING
        waited_for = self._backed_up if pool.is_write_back else 0
        step = HostStep(
            held_tokens=self._exhauster.held_host_tokens,
            backed_up_tokens=self._backed_up,
            loaded_back_tokens=self._loaded,
            evicted_tokens=self._evicted,
            load_back_wait_ns=self._copy_time.load_back_wait_ns(self._loaded, forward_ns),
            backup_wait_ns=self._copy_time.copy_ns(waited_for),
        )
        self._backed_up = self._loaded = self._evicted = 0
        return step

    def on_backup(self, tokens: int) -> None:
        """Note tokens that are copied to the host."""
        self._backed_up += tokens

    def on_load_back(self, tokens: int) -> None:
        """Note tokens that are copied back."""
        self._loaded += tokens

    def on_host_eviction(self, tokens: int) -> None:
        """Note host tokens that the cache freed."""
        self._evicted += tokens
