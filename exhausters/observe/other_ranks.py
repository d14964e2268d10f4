"""What the other ranks of an engine decided in a step, and whether they decided as the first one did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Protocol

from exhausters.observe.conservation import PoolCount
from exhausters.observe.decision_log import DecisionLog
from exhausters.observe.forward_time import ForwardTimeModel
from exhausters.observe.step_record import IDLE, StepRecord

# Time is the first rank's: it waits for the slowest.
_OF_TIME = ("forward_ns", "end_ns")
_COMPARED = tuple(one.name for one in fields(StepRecord) if one.name not in _OF_TIME)


@dataclass(frozen=True, slots=True, kw_only=True)
class RankStep:
    """What another rank recorded of one step.

    Attributes:
        record: the step.
        outputs: tokens that its requests emitted until then, as far as they changed in this step; only of a
            rank that has requests of its own.
        unbalanced: its pools that do not add up after the step.
    """

    record: StepRecord
    outputs: Mapping[str, int] = field(default_factory=dict)
    unbalanced: tuple[PoolCount, ...] = ()


class OtherRanks(Protocol):
    """All ranks of an engine but the first."""

    @property
    def is_alike(self) -> bool:
        """Whether each of them must decide as the first does."""

    def start_recording(self, forward_time: ForwardTimeModel) -> None:
        """Let each record its steps, from the next one on."""

    def stop_recording(self) -> None:
        """End that; harmless when repeated."""

    def steps(self) -> Mapping[int, Sequence[RankStep]]:
        """Return by rank what came of steps that have ended, once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Disagreement:
    """A rank that decided otherwise than the first one in the same step.

    Attributes:
        step: number of the step.
        rank: the rank.
        field: the first field of the records that differs.
        first, other: what the first rank has there, and what the other has.
    """

    step: int
    rank: int
    field: str
    first: object
    other: object

    def __str__(self) -> str:
        """One sentence."""
        return (
            f"step {self.step}: rank {self.rank} has {self.field} = {_short(self.other)}, "
            f"rank 0 has {_short(self.first)}"
        )


def disagreement(first: StepRecord, other: StepRecord, *, rank: int) -> Disagreement | None:
    """Return where the records of one step differ, modelled time aside; None where they do not."""
    for name in _COMPARED:
        ours, theirs = getattr(first, name), getattr(other, name)
        if ours != theirs:
            return Disagreement(step=first.step, rank=rank, field=name, first=ours, other=theirs)
    return None


class RankLogs:
    """The records of the other ranks beside those of the first; made by its recorder."""

    def __init__(self, ranks: OtherRanks) -> None:
        self._ranks = ranks
        self._new: Mapping[int, Sequence[RankStep]] = {}
        self._steps: dict[int, list[StepRecord]] = {}

    def start(self, forward_time: ForwardTimeModel) -> None:
        """Let the others record."""
        self._ranks.start_recording(forward_time)

    def stop(self) -> None:
        """End that; harmless when repeated."""
        self._ranks.stop_recording()

    def receive(self) -> None:
        """Take what the others say of the step that has ended."""
        self._new = self._ranks.steps()

    def outputs(self) -> Mapping[str, int]:
        """Tokens that requests of other ranks have emitted until now, those that changed in this step."""
        return {rid: count for one in self._all_new() for rid, count in one.outputs.items()}

    def forward_ns(self, own_ns: int, mode: str) -> int:
        """Duration of the step: ranks that run a forward wait for the slowest of them."""
        busy = [one.record.forward_ns for one in self._all_new() if one.record.mode != IDLE]
        if mode != IDLE:
            busy.append(own_ns)
        return max(busy, default=own_ns)

    def unbalanced(self) -> tuple[PoolCount, ...]:
        """Pools of other ranks that do not add up; each says of which rank it is."""
        return tuple(
            replace(count, pool=f"{count.pool} of rank {rank}")
            for rank, steps in self._new.items()
            for one in steps
            for count in one.unbalanced
        )

    def disagreements(self, own: Sequence[StepRecord]) -> tuple[Disagreement, ...]:
        """Keep what has come, and return which ranks decided otherwise than the first.

        Args:
            own: all records of the first rank, the newest included.
        """
        found = []
        for rank, steps in self._new.items():
            kept = self._steps.setdefault(rank, [])
            for one in steps:
                record, first = one.record, own[one.record.step]
                kept.append(replace(record, forward_ns=first.forward_ns, end_ns=first.end_ns))
                if self._ranks.is_alike:
                    found.append(disagreement(first, record, rank=rank))
        self._new = {}
        return tuple(one for one in found if one is not None)

    @property
    def logs(self) -> tuple[DecisionLog, ...]:
        """The decision logs of all ranks but the first, in their order."""
        return tuple(DecisionLog(tuple(self._steps[rank])) for rank in sorted(self._steps))

    def _all_new(self) -> list[RankStep]:
        return [one for steps in self._new.values() for one in steps]


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}…"
