"""The timer of the suite: CPU time that the scheduler's thread has spent, as the worker reported it.

pytest-benchmark reads its timer before and after the benchmarked function. That function runs something in
a worker, which returns the CPU time it took; `spend` puts the timer forward by it. So what is reported is
neither wall time nor time of this process, and boots, resets and messages between the two are not in it.
"""

from __future__ import annotations

__all__ = ["RESOLUTION_SECONDS", "TIMER", "scheduler_cpu_seconds", "spend"]

# What the timer measures, for the readers of a file.
TIMER = "CPU time of the scheduler's thread"

# The least that is ever spent: pytest-benchmark calls any change from zero an infinite one, even to zero.
RESOLUTION_SECONDS = 1e-9

_spent_ns = 0


def scheduler_cpu_seconds() -> float:
    """Return the seconds spent until now: a timer for pytest-benchmark."""
    return _spent_ns / 1e9


def spend(seconds: float) -> None:
    """Put the timer forward, by at least `RESOLUTION_SECONDS`."""
    global _spent_ns
    _spent_ns += round(max(seconds, RESOLUTION_SECONDS) * 1e9)
