"""In which order commits are scanned, so that a scan says most of what it can when it is stopped.

First both ends and every 16th commit that touches the scheduler or its caches, coarse to fine; then halves
of the intervals whose ends decide otherwise, then of those whose counts differ, until neighbours remain; then
the other commits that touch the scheduler or its caches; then all that touch what workers import.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from exhausters.scan.history import HistoryCommit
from exhausters.scan.summary import DECISIONS, FAILED, WORK, CommitSummary, difference

# How two commits differ: `SAME`, `WORK` or `DECISIONS`.
Distance = Callable[[CommitSummary, CommitSummary], int]
# Distance of the commits of the first pass, unless another is asked for.
COARSE = 16
# What a commit is scanned for.
FIRST_PASS, HALVE_DECISIONS, HALVE_WORK, REST_CORE, REST = (
    "first pass",
    "decisions differ",
    "counted work differs",
    "scheduler and caches",
    "all that is imported",
)
PHASES = (FIRST_PASS, HALVE_DECISIONS, HALVE_WORK, REST_CORE, REST)


@dataclass(frozen=True, slots=True, kw_only=True)
class Next:
    """The commit to scan next, and why."""

    commit: HistoryCommit
    phase: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """What lies between two commits that were run and are neighbours among those; broken ones were run, too.

    Attributes:
        before, after: their places among the candidates.
        kind: how their records differ.
        unknown: places between them that were not tried.
        failed: places between them that could not be prepared.
    """

    before: int
    after: int
    kind: int
    unknown: tuple[int, ...]
    failed: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Candidates of a history, oldest first, and what is known of them.

    Attributes:
        candidates: the commits that can change what workers do; the first one is the base.
        known: summaries by commit.
        distance: counts the difference of two summaries; a cache of it, since it is asked often.
        coarse: distance of the commits of the first pass, in commits that touch the scheduler or its caches.
    """

    candidates: Sequence[HistoryCommit]
    known: Mapping[str, CommitSummary]
    distance: Distance = difference
    coarse: int = COARSE

    def next(self) -> Next | None:
        """Return what to scan next; None when nothing is left."""
        for phase, places in (
            (FIRST_PASS, self._first_pass()),
            (HALVE_DECISIONS, self._halves(DECISIONS)),
            (HALVE_WORK, self._halves(WORK)),
            (REST_CORE, self._rest(core_only=True)),
            (REST, self._rest(core_only=False)),
        ):
            place = next(places, None)
            if place is not None:
                return Next(commit=self.candidates[place], phase=phase)
        return None

    def left(self) -> dict[str, int]:
        """Return how many commits each phase is certain to scan yet, those of earlier phases not counted."""
        first = set(self._first_pass())
        unknown = {place for place in range(len(self.candidates)) if self._is_unknown(place)} - first
        core = {place for place in unknown if self.candidates[place].is_core}
        return {FIRST_PASS: len(first), REST_CORE: len(core), REST: len(unknown - core)}

    def intervals(self) -> list[Interval]:
        """Return the intervals between scanned neighbours, oldest first."""
        found: list[Interval] = []
        before: int | None = None
        unknown: list[int] = []
        failed: list[int] = []
        for place, commit in enumerate(self.candidates):
            summary = self.known.get(commit.id)
            if summary is None:
                unknown.append(place)
            elif summary.status == FAILED:
                failed.append(place)
            else:
                if before is not None:
                    kind = self.distance(self.known[self.candidates[before].id], summary)
                    found.append(
                        Interval(
                            before=before,
                            after=place,
                            kind=kind,
                            unknown=tuple(unknown),
                            failed=tuple(failed),
                        )
                    )
                before, unknown, failed = place, [], []
        return found

    def _is_unknown(self, place: int) -> bool:
        return self.candidates[place].id not in self.known

    def _first_pass(self) -> Iterator[int]:
        """Both ends, then of the core commits every 128th, 64th, 32nd, 16th; what is known left out."""
        if not self.candidates:
            return
        core = [place for place, commit in enumerate(self.candidates) if commit.is_core]
        wanted = [len(self.candidates) - 1, 0]
        step = self.coarse * 8
        while step >= self.coarse:
            wanted += core[::step]
            step //= 2
        yield from (place for place in dict.fromkeys(wanted) if self._is_unknown(place))

    def _halves(self, kind: int) -> Iterator[int]:
        open_intervals = [one for one in self.intervals() if one.kind == kind and one.unknown]
        # The shortest first: so each change is pinned to its commit before the next one is looked for.
        for one in sorted(open_intervals, key=lambda one: len(one.unknown)):
            yield self._middle(one.unknown)

    def _rest(self, *, core_only: bool) -> Iterator[int]:
        """The middles of the longest runs of commits that were not tried."""
        runs: list[list[int]] = [[]]
        for place, commit in enumerate(self.candidates):
            if not self._is_unknown(place):
                runs.append([])
            elif commit.is_core or not core_only:
                runs[-1].append(place)
        for run in sorted((run for run in runs if run), key=len, reverse=True):
            yield run[len(run) // 2]

    def _middle(self, places: Sequence[int]) -> int:
        """The middle one of those that touch the scheduler or its caches, where there is one, else of all."""
        core = [place for place in places if self.candidates[place].is_core]
        chosen = core or places
        return chosen[len(chosen) // 2]


def remembered(distance: Distance = difference) -> Distance:
    """Return the function with a memory: summaries of a commit never change."""
    known: dict[tuple[str, str], int] = {}

    def found(base: CommitSummary, head: CommitSummary) -> int:
        pair = base.commit, head.commit
        if pair not in known:
            known[pair] = distance(base, head)
        return known[pair]

    return found
