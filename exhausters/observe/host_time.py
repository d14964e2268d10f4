"""CPU time of the scheduler's thread, by phase."""

from __future__ import annotations

from collections.abc import Mapping

from exhausters.engine.clock import real_thread_time_ns
from exhausters.observe.phases import PHASES


class HostTimer:
    """A phase listener that adds up CPU nanoseconds; harness code between steps is not counted.

    Attributes:
        cpu_ns: nanoseconds by phase.
    """

    def __init__(self) -> None:
        self.cpu_ns = dict.fromkeys(PHASES, 0)
        self._phase: str | None = None
        self._since_ns = 0

    def enter(self, phase: str) -> None:
        """`phase` begins."""
        now = real_thread_time_ns()
        if self._phase is not None:
            self.cpu_ns[self._phase] += now - self._since_ns
        self._phase = phase
        self._since_ns = now

    def leave(self) -> None:
        """The step has ended."""
        if self._phase is not None:
            self.cpu_ns[self._phase] += real_thread_time_ns() - self._since_ns
        self._phase = None

    @property
    def total_ns(self) -> int:
        """Nanoseconds of all phases."""
        return sum(self.cpu_ns.values())


def host_metrics(timer: HostTimer, metrics: Mapping[str, float | int | None]) -> dict[str, float | None]:
    """Return every metric of kind host time, by name.

    Args:
        timer: what was timed.
        metrics: decision metrics of the same run, of which steps and prefill tokens are used.
    """
    seconds = timer.total_ns / 1e9
    steps = metrics["steps_to_drain"] or 0
    prefill_tokens = metrics["prefill_tokens"] or 0
    return {
        "scheduler_cpu_seconds": seconds,
        "scheduler_cpu_ms_per_step": seconds * 1e3 / steps if steps else None,
        **{
            f"scheduler_cpu_ms_per_step_{phase}": timer.cpu_ns[phase] / 1e6 / steps if steps else None
            for phase in PHASES
        },
        "prefill_tokens_per_cpu_second": prefill_tokens / seconds if seconds else None,
    }
