"""Measure the scaling grid on one build or two: exact windows once, timed windows in turns A B, B A."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from types import TracebackType
from typing import Any

from exhausters.errors import ExhaustersError, UsageError
from exhausters.growth.axes import Point
from exhausters.growth.window import EXACT_PASSES, TIME, Window, measure_point
from exhausters.sweep.cell import EngineSettings
from exhausters.sweep.plan import CELL_TIMEOUT_SECONDS
from exhausters.sweep.workers import Workers
from exhausters.targets import PreparedTarget

# The order of two builds in one round, as in docs/verdicts.md.
ORDERS = ("AB", "BA")


@dataclass(frozen=True, slots=True, kw_only=True)
class PointRun:
    """One point, measured once on one build.

    Attributes:
        target: name of the build.
        point: which size of which axis.
        round: of timed windows, number of the pair, from 0; None for the exact ones.
        order: of timed windows, which build came first; None for the exact ones.
        window: what was measured; None when it failed.
        failure: why it failed, in one line; empty when it did not.
    """

    target: str
    point: Point
    round: int | None = None
    order: str | None = None
    window: Window | None = None
    failure: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return one line of `runs.jsonl`."""
        window = self.window
        return {
            "target": self.target,
            "axis": self.point.axis,
            "size": self.point.size,
            "round": self.round,
            "order": self.order,
            "failure": self.failure,
            "digest": None if window is None else window.digest,
            "before": None if window is None else asdict(window.before),
            "after": None if window is None else asdict(window.after),
            "work": None if window is None else asdict(window.work),
            "metrics": {} if window is None else window.metrics,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class GrowthPlan:
    """What is measured.

    Attributes:
        targets: one build, or base and head.
        points: the scaling grid.
        engine: what every build is booted with.
        rounds: timed windows of each point on each build; 0 takes no time.

    Raises:
        UsageError: base and head have one name, or a negative number of rounds.
    """

    targets: tuple[PreparedTarget, ...]
    points: tuple[Point, ...]
    engine: EngineSettings = field(default_factory=EngineSettings)
    rounds: int = 10

    def __post_init__(self) -> None:
        if len({target.name for target in self.targets}) < len(self.targets):
            raise UsageError(f"{self.targets[0].name} against itself: expected two builds of different names")
        if self.rounds < 0:
            raise UsageError(f"--rounds {self.rounds}: expected an integer >= 0")

    @property
    def runs(self) -> int:
        """How many runs a complete folder has."""
        return len(self.points) * len(self.targets) * (1 + self.rounds)


def measure_growth(
    plan: GrowthPlan, owner: Workers, *, keep: Callable[[PointRun], None], say: Callable[[str], None]
) -> tuple[PointRun, ...]:
    """Measure every point on every build; a point that fails is a run that says so, and the others go on.

    Exact windows of two builds run beside each other; timed ones alone, since each would disturb the other.

    Args:
        plan: what is measured.
        owner: boots the workers.
        keep: is given each run as it ends, in this thread.
        say: is told what is being done.
    """
    found: list[PointRun] = []

    def done(run: PointRun) -> None:
        found.append(run)
        keep(run)

    with _Builds(owner, plan) as builds:
        for point in plan.points:
            say(f"counting at {point}")
            for run in builds.count(point):
                done(run)
        for number in range(plan.rounds):
            say(f"timing: round {number + 1} of {plan.rounds}")
            for point in plan.points:
                for run in builds.time(point, number):
                    done(run)
    return tuple(found)


class _Builds:
    """The builds of one plan, each with a lease of its own, since they run beside each other."""

    def __init__(self, owner: Workers, plan: GrowthPlan) -> None:
        self._plan, self._owner = plan, owner
        self._leases = [owner.lease() for _ in plan.targets]
        self._threads = ThreadPoolExecutor(max_workers=len(plan.targets), thread_name_prefix="build")

    def count(self, point: Point) -> Sequence[PointRun]:
        places = range(len(self._plan.targets))
        return list(self._threads.map(lambda place: self._run(place, point, EXACT_PASSES), places))

    def time(self, point: Point, number: int) -> Iterator[PointRun]:
        order = ORDERS[number % 2]
        places = list(range(len(self._plan.targets)))
        for place in places if order == "AB" else reversed(places):
            yield self._run(place, point, (TIME,), number=number, order=order)

    def _run(
        self,
        place: int,
        point: Point,
        passes: tuple[str, ...],
        *,
        number: int | None = None,
        order: str | None = None,
    ) -> PointRun:
        target = self._plan.targets[place]
        window, failure = None, ""
        try:
            host = self._leases[place].host(target, self._plan.engine)
            window = host.run(measure_point, point, passes, timeout_seconds=CELL_TIMEOUT_SECONDS)
        except ExhaustersError as error:
            if self._owner.is_interrupted:
                raise
            failure = f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
        return PointRun(
            target=target.name, point=point, round=number, order=order, window=window, failure=failure
        )

    def __enter__(self) -> _Builds:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            # After Ctrl-C a thread may be in the middle of a run.
            self._owner.interrupt()
        self._threads.shutdown(wait=True, cancel_futures=True)
        for lease in self._leases:
            lease.__exit__(kind, error, trace)
