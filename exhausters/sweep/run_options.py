"""How a cell is run: the passes over its workload, and when a run is given up."""

from __future__ import annotations

from dataclasses import dataclass, field

from exhausters.errors import UsageError
from exhausters.observe.forward_time import ForwardTimeModel, LinearForwardTime
from exhausters.observe.latency import GoodputLimits

# A scheduler that can run something does so within a step or two; waiting requests and this many steps
# without a forward are a livelock.
STALL_STEPS = 64
MAX_STEPS = 50_000
# Decisions alone; with host time; with work; with the lines that were executed; judged by the oracles.
DECIDE, TIMED, COUNTED, LINES, CHECKED = "decide", "timed", "counted", "lines", "checked"
# Run in rounds, between which nothing may grow.
IN_ROUNDS = "in rounds"
PASSES = (DECIDE, TIMED, COUNTED, LINES, CHECKED, IN_ROUNDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainLimits:
    """When a run is given up.

    Attributes:
        stall_steps: steps in a row without a forward, while requests wait.
        max_steps: steps in all.
    """

    stall_steps: int = STALL_STEPS
    max_steps: int = MAX_STEPS


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How a cell is run.

    Attributes:
        forward_time: the model that moves the virtual clock.
        limits: when a run is given up.
        count_work: whether counting is among the passes where `passes` does not say.
        goodput: limits that a request must keep to count towards goodput.
        passes: which passes are made, in this order, each of `PASSES`; None for a timed one and, with
            `count_work`, a counted one.
        line_files: of the pass that records lines: source files, relative to the source folder, whose lines
            are recorded; empty for all. Few files cost little more than a plain run.

    Raises:
        UsageError: no pass, or one that there is not.
    """

    forward_time: ForwardTimeModel = field(default_factory=LinearForwardTime)
    limits: DrainLimits = field(default_factory=DrainLimits)
    count_work: bool = True
    goodput: GoodputLimits = field(default_factory=GoodputLimits)
    passes: tuple[str, ...] | None = None
    line_files: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.passes is not None and (not self.passes or set(self.passes) - set(PASSES)):
            raise UsageError(f"passes={self.passes!r}: expected one or more of {', '.join(PASSES)}")

    @property
    def wanted_passes(self) -> tuple[str, ...]:
        """The passes that are made."""
        if self.passes is not None:
            return self.passes
        return (TIMED, COUNTED) if self.count_work else (TIMED,)
