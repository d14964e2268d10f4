"""What the first rank and another say to each other, pickled over one socket pair."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from exhausters.observe.other_ranks import RankStep


@dataclass(frozen=True, slots=True)
class Act:
    """Do this now, before the iteration that is about to begin.

    Attributes:
        name: method of `exhausters.ranks.acts.Acts`.
        arguments: of that method.
    """

    name: str
    arguments: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Go:
    """Take one iteration.

    Attributes:
        elapsed_ns: the first rank's modelled time.
    """

    elapsed_ns: int


@dataclass(frozen=True, slots=True)
class End:
    """End the event loop and the process."""


@dataclass(frozen=True, slots=True)
class Started:
    """The scheduler of this rank is up, and its event loop has begun."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RankState:
    """What a rank with requests of its own says of them after a step.

    Attributes:
        is_idle, is_fully_idle, is_drained, is_marked_full: as `Engine` has them.
        waiting_rids, running_rids: requests that wait, and that run.
        output_limits: as `Engine.output_limits`.
    """

    is_idle: bool
    is_fully_idle: bool
    is_drained: bool
    is_marked_full: bool
    waiting_rids: tuple[str, ...]
    running_rids: tuple[str, ...]
    output_limits: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepReport:
    """One iteration has ended.

    Attributes:
        step: what was decided in it; None while nothing is recorded.
        recording: number of the recording that the step is of.
        state: of a rank with requests of its own.
        error: why an act of the first rank could not be done here.
    """

    step: RankStep | None = None
    recording: int = 0
    state: RankState | None = None
    error: Exception | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RankFailed:
    """The scheduler of this rank raised, at boot or in its loop; the process ends after this message.

    Attributes:
        phase: `boot` or `loop`.
        text: SGLang's own traceback.
    """

    phase: str
    text: str
