"""What the engines of a joined pair and the process between them say to each other; all can be pickled."""

from __future__ import annotations

from dataclasses import dataclass

# What happens to a request on the other side: it has arrived, its KV has a place, its KV has come.
SUBMITTED, ANSWERED, ARRIVED = "submitted", "answered", "arrived"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class PairEvent:
    """Something that the other engine learns of.

    Attributes:
        time_ns: modelled time since the start; seen by the first step that begins then or later.
        number: orders what an engine tells of one time.
        rid: the request.
        action: SUBMITTED, ANSWERED or ARRIVED.
    """

    time_ns: int
    number: int
    rid: str
    action: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Go:
    """Take steps, until one would begin after a time, or there is something to tell.

    Attributes:
        events: what the other engine has told since.
        until_ns: the last time at which a step may begin; None for any.
    """

    events: tuple[PairEvent, ...]
    until_ns: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """Steps were taken, or none had to be.

    Attributes:
        next_ns: when the next step begins; None when there is nothing to do until the other engine tells.
        events: what the other engine must learn.
        quiet_steps: steps in a row in which nothing ran, came or was told.
        steps: steps in all.
    """

    next_ns: int | None
    events: tuple[PairEvent, ...] = ()
    quiet_steps: int = 0
    steps: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """The run is over."""
