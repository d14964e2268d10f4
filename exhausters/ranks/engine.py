"""The engine of the first rank as a script sees it: what acts on it acts on the other ranks alike."""

from __future__ import annotations

from itertools import count
from typing import Any, cast

from exhausters.engine.api import Engine, Submission
from exhausters.errors import UsageError
from exhausters.pressure import PressureLevels, PressureSet
from exhausters.ranks.leader import Followers


def leading(engine: Engine, followers: Followers) -> Engine:
    """Return the engine of the first rank, whose acts reach every rank."""
    made = LeadingEngine if followers.is_alike else PartitionedEngine
    return cast("Engine", made(engine, followers))


class LeadingEngine:
    """`Engine` of the first of ranks that all have the same requests.

    Requests and controls reach the others through the engine's own broadcast. What does not, because it goes
    past the scheduler's messages, is told to them.
    """

    def __init__(self, engine: Engine, followers: Followers) -> None:
        self._own = engine
        self._followers = followers

    def __getattr__(self, name: str) -> Any:
        return getattr(self._own, name)

    def submit(self, submission: Submission) -> None:
        """Send a request, and let the others know its prompt, through which some trees are walked."""
        self._own.submit(submission)
        self._followers.tell("note_submission", submission)

    def begin_script(self) -> None:
        """Forget what earlier scripts submitted."""
        self._own.begin_script()
        self._followers.tell("begin_script")

    def restore_carryover(self) -> None:
        """Put counters back, everywhere."""
        self._own.restore_carryover()
        self._followers.tell("restore_carryover")

    def clear_full_mark(self) -> None:
        """Take the mark off, everywhere."""
        self._own.clear_full_mark()
        self._followers.tell("clear_full_mark")

    def set_idle_checks(self, enabled: bool) -> None:
        """Turn the scheduler's own checks of an idle engine on or off, everywhere."""
        self._own.set_idle_checks(enabled)
        self._followers.tell("set_idle_checks", enabled)


class PartitionedEngine(LeadingEngine):
    """The same of ranks that have requests of their own: data-parallel attention.

    A request goes to the group that it names, else to one after the other. Whether the engine is idle, and
    which requests wait or run, is asked of all ranks; everything else, and all that is in the record of a
    step, of the first alone.
    """

    def __init__(self, engine: Engine, followers: Followers) -> None:
        super().__init__(engine, followers)
        self._turns = count()

    def begin_script(self) -> None:
        """Forget what earlier scripts submitted, and begin with the first rank again."""
        super().begin_script()
        self._turns = count()
        self._followers.rank_of.clear()

    def submit(self, submission: Submission) -> None:
        """Send a request to one rank.

        Raises:
            UsageError: a group that there is not.
        """
        world = self._followers.world
        wanted = submission.dp_rank
        if wanted is not None and not 0 <= wanted < world.dp_size:
            raise UsageError(f"dp_rank={wanted!r}: expected 0 <= dp_rank < {world.dp_size}, or none")
        group = next(self._turns) % world.dp_size if wanted is None else wanted
        # The first rank of a group receives for all of it.
        rank = group * world.tp_size // world.dp_size
        if rank == 0:
            self._own.submit(submission)
        else:
            self._followers.submit(rank, submission)

    @property
    def has_unreceived(self) -> bool:
        """Whether messages wait that a scheduler has not received yet."""
        return self._own.has_unreceived or self._followers.unreceived > 0

    def is_idle(self) -> bool:
        """Whether nothing waits or runs on any rank."""
        return self._own.is_idle() and all(one.is_idle for one in self._states())

    def is_fully_idle(self) -> bool:
        """`is_idle`, and no result is left to be processed."""
        return self._own.is_fully_idle() and all(one.is_fully_idle for one in self._states())

    def is_drained(self) -> bool:
        """The engine's own answer, of every rank."""
        return self._own.is_drained() and all(one.is_drained for one in self._states())

    def is_marked_full(self) -> bool:
        """Whether the running batch of any rank bears the mark."""
        return self._own.is_marked_full() or any(one.is_marked_full for one in self._states())

    def waiting_rids(self) -> list[str]:
        """The waiting queues, rank by rank."""
        return self._own.waiting_rids() + [rid for one in self._states() for rid in one.waiting_rids]

    def running_rids(self) -> list[str]:
        """The running batches, rank by rank."""
        return self._own.running_rids() + [rid for one in self._states() for rid in one.running_rids]

    def output_limits(self) -> dict[str, int]:
        """Tokens that requests may emit, of all ranks."""
        limits = self._own.output_limits()
        for one in self._states():
            limits |= one.output_limits
        return limits

    def _states(self) -> list[Any]:
        return list(self._followers.states.values())


class LeadingPressureSet(PressureSet):
    """The exhausters of the first rank; every other rank takes and gives back its own alike.

    What is held is taken again by each rank itself, at every step. What a script takes from an exhauster or a
    pool directly is taken on the first rank alone.
    """

    def __init__(self, engine: Engine, followers: Followers) -> None:
        super().__init__(engine)
        self._followers = followers

    def apply(self, levels: PressureLevels) -> None:
        """Take down to every level given, on every rank."""
        super().apply(levels)
        self._followers.tell("apply", levels)

    def take_once(self, level_name: str, level: int) -> None:
        """Take down to one level, on every rank."""
        super().take_once(level_name, level)
        self._followers.tell("take_once", level_name, level)

    def release(self) -> None:
        """Give everything back, on every rank."""
        try:
            super().release()
        finally:
            self._followers.tell("release")
