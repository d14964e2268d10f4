"""Replace time inside a worker by a clock that only the harness moves.

SGLang orders evictions by `time.monotonic()` and ages requests by several clocks. On a virtual clock
the same script gives the same decisions on any machine under any load. The clock is strictly
increasing for the scheduler's thread, because equal times would let eviction order depend on object
identities.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

# One read moves the clock by this much: far below any modelled forward time, far above the
# resolution of a float holding `_EPOCH_SECONDS` (2.4e-7 s at 1.7e9).
READ_TICK_NS = 1_000
# 2024-01-01 UTC: a plausible wall-clock time for code that formats dates.
_EPOCH_SECONDS = 1_704_067_200
# `time.monotonic()` starts here rather than at 0, so that "never" (0.0) stays in the past.
_MONOTONIC_START_NS = 1_000_000_000_000

# The real clocks, kept before anything is replaced: host time is taken from these.
real_monotonic_ns = time.monotonic_ns
real_thread_time_ns = time.thread_time_ns
real_sleep = time.sleep


class VirtualClock:
    """Time that moves by `advance` and, by one tick, whenever the scheduler's thread reads it."""

    def __init__(self) -> None:
        self._elapsed_ns = 0
        self._ticks_ns = 0
        self._thread = threading.get_ident()

    @property
    def elapsed_ns(self) -> int:
        """Modelled nanoseconds since the start: all that time was advanced by, without the read ticks."""
        return self._elapsed_ns

    def advance_ns(self, duration_ns: int) -> None:
        """Move time on by whole nanoseconds (>= 0)."""
        if duration_ns < 0:
            raise ValueError(f"duration_ns={duration_ns}: time cannot run backwards")
        self._elapsed_ns += duration_ns

    def advance(self, seconds: float) -> None:
        """Move time on by `seconds` of modelled time (>= 0, rounded to whole nanoseconds)."""
        if seconds < 0:
            raise ValueError(f"seconds={seconds}: time cannot run backwards")
        self._elapsed_ns += round(seconds * 1e9)

    def monotonic_ns(self) -> int:
        """Nanoseconds, larger than at any earlier call from the scheduler's thread."""
        # Other threads (watchdogs) read at moments of the real world: their reads must not move time.
        if threading.get_ident() == self._thread:
            self._ticks_ns += READ_TICK_NS
        return _MONOTONIC_START_NS + self._elapsed_ns + self._ticks_ns

    def install(self) -> None:
        """Put this clock into the `time` module, for every module that is imported afterwards."""
        now_ns = self.monotonic_ns

        def seconds() -> float:
            return now_ns() / 1e9

        def wall_ns() -> int:
            return _EPOCH_SECONDS * 1_000_000_000 + now_ns()

        def wall_seconds() -> float:
            return _EPOCH_SECONDS + now_ns() / 1e9

        def sleep(duration_seconds: float) -> None:
            # A sleeping scheduler thread is modelled time; a sleeping helper thread is real.
            if threading.get_ident() == self._thread:
                self.advance(max(0.0, duration_seconds))
            else:
                real_sleep(duration_seconds)

        replacements: dict[str, Callable[..., object]] = {
            "monotonic": seconds,
            "monotonic_ns": now_ns,
            "perf_counter": seconds,
            "perf_counter_ns": now_ns,
            "time": wall_seconds,
            "time_ns": wall_ns,
            "sleep": sleep,
        }
        for name, function in replacements.items():
            setattr(time, name, function)


class RealClock:
    """The machine's own time, behind the same three calls; nothing is replaced."""

    def __init__(self) -> None:
        self._start_ns = real_monotonic_ns()

    @property
    def elapsed_ns(self) -> int:
        """Real nanoseconds since the worker made this clock."""
        return real_monotonic_ns() - self._start_ns

    def advance_ns(self, duration_ns: int) -> None:
        """Let `duration_ns` of real time pass."""
        real_sleep(duration_ns / 1e9)

    def advance(self, seconds: float) -> None:
        """Let `seconds` of real time pass."""
        real_sleep(seconds)

    def install(self) -> None:
        """Nothing to do: the `time` module already tells real time."""


def make_clock(name: str) -> VirtualClock | RealClock:
    """Return the clock called `virtual` or `real`; raises ValueError for any other name."""
    if name == "virtual":
        return VirtualClock()
    if name == "real":
        return RealClock()
    raise ValueError(f"clock={name!r}: expected 'virtual' or 'real'")
