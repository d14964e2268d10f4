"""Cuts a cell down to the smallest workload that still shows something.

What that is a probe knows: that two builds decide differently, or that a promise is still found broken.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

from exhausters.errors import ExhaustersError
from exhausters.observe.decision_log import DecisionLog
from exhausters.observe.step_record import StepRecord
from exhausters.pressure.levels import PressureLevels
from exhausters.sweep.record import CellResult
from exhausters.why.ddmin import ddmin
from exhausters.why.scenario import (
    Scenario,
    half_output,
    half_segment,
    prompt_tokens_of,
    segment_keys,
    with_outputs,
)
from exhausters.workloads import Request

# What a scheduler decides about a batch; pool levels follow from it, with exceptions.
BATCH_FIELDS = ("mode", "rids", "tokens", "retracted_rids")
ALL_FIELDS = tuple(StepRecord.__dataclass_fields__)

MAX_RUNS = 240
MAX_SECONDS = 180.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A scenario on which both builds were seen to differ.

    Attributes:
        scenario: what was run.
        step: the first step that differs.
        field_names: the fields that were compared.
        base, head: the results.
    """

    scenario: Scenario
    step: int
    field_names: tuple[str, ...]
    base: CellResult
    head: CellResult

    @property
    def submitted_steps(self) -> Mapping[str, int]:
        """Step at which each request was submitted, by request id."""
        return self.base.facts.submitted_steps if self.base.facts is not None else {}


class Shown(Protocol):
    """A scenario that shows what is looked for."""

    @property
    def scenario(self) -> Scenario:
        """What was run."""

    @property
    def step(self) -> int:
        """The step that shows it."""

    @property
    def submitted_steps(self) -> Mapping[str, int]:
        """Step at which each request was submitted, by request id."""


_Shown = TypeVar("_Shown", bound=Shown)
# Runs a scenario; None when it does not show what is looked for.
Probe = Callable[[Scenario], _Shown | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reduction(Generic[_Shown]):
    """The smallest scenario that was found, and how.

    Attributes:
        trial: the last scenario that shows it.
        is_minimal: whether removing any one request was tried and made it go away.
        runs: how often a scenario was run.
        tried: what was tried, in order: a sentence per stage.
    """

    trial: _Shown
    is_minimal: bool
    runs: int
    tried: tuple[str, ...]


# A reproducer of so few requests is not searched for further.
_FEW_REQUESTS = 4

RunBoth = Callable[[Scenario], tuple[CellResult, CellResult]]


def reduce_scenario(
    start: Scenario, run: RunBoth, *, max_runs: int = MAX_RUNS, max_seconds: float = MAX_SECONDS
) -> Reduction[Trial] | None:
    """Return the smallest scenario on which the builds differ; None when they do not differ on `start`.

    Args:
        start: the whole cell.
        run: runs a scenario on base and head; what it raises of this project's errors is no difference.
        max_runs: after so many runs the best until then is returned.
        max_seconds: likewise, in real time.
    """
    return reduce_while(start, _Differing(run), max_runs=max_runs, max_seconds=max_seconds)


def reduce_while(
    start: Scenario,
    probe: Probe[_Shown],
    *,
    still: str = "still differs",
    gone: str = "no difference, kept",
    max_runs: int = MAX_RUNS,
    max_seconds: float = MAX_SECONDS,
) -> Reduction[_Shown] | None:
    """Return the smallest scenario that shows what the probe looks for; None when `start` does not.

    Args:
        start: the whole cell.
        probe: runs a scenario; what it raises of this project's errors shows nothing.
        still, gone: how to say that a smaller scenario shows it, or does not.
        max_runs: after so many runs the best until then is returned.
        max_seconds: likewise, in real time.
    """
    reducer = _Reducer(probe=probe, still=still, gone=gone)
    reducer.limit(max_runs=max_runs, deadline=time.monotonic() + max_seconds)
    whole = reducer.begin(start)
    if whole is None:
        return None
    found = []
    # With all requests at the start some divergences need fewer of them, and some need more: both are tried.
    for route, share in ((_Route.AT_ONCE, 2), (_Route.AS_THEY_ARRIVE, 1)):
        now = time.monotonic()
        reducer.limit(
            max_runs=reducer.runs + (max_runs - reducer.runs) // share,
            deadline=now + max_seconds / 2,
        )
        found.append(reducer.follow(route, whole))
        if found[-1][1] and _size(found[-1][0].scenario, 0, True)[0] <= _FEW_REQUESTS:
            break  # few enough to read; another route takes as many runs again
    trial, is_minimal = min(found, key=lambda one: _size(one[0].scenario, one[0].step, one[1]))
    return Reduction(trial=trial, is_minimal=is_minimal, runs=reducer.runs, tried=tuple(reducer.tried))


def _size(scenario: Scenario, step: int, is_minimal: bool) -> tuple[int, bool, int, int]:
    requests = len(scenario.requests) + len(scenario.warmup)
    return requests, not is_minimal, step, prompt_tokens_of(scenario)


def first_difference(base: DecisionLog, head: DecisionLog, field_names: Sequence[str]) -> int | None:
    """Return the first step in which any of these fields differs, or in which one log has ended."""
    shared = min(len(base), len(head))
    for step in range(shared):
        ours, theirs = base.steps[step], head.steps[step]
        if ours != theirs and any(getattr(ours, name) != getattr(theirs, name) for name in field_names):
            return step
    return None if len(base) == len(head) else shared


class _Differing:
    """The probe of two builds: the first difference of batches, or without one of pool levels alone."""

    def __init__(self, run: RunBoth) -> None:
        self._run = run
        # The first run decides which of both is looked for.
        self._kinds: tuple[tuple[str, ...], ...] = (BATCH_FIELDS, ALL_FIELDS)

    def __call__(self, scenario: Scenario) -> Trial | None:
        base, head = self._run(scenario)
        for fields in self._kinds:
            step = first_difference(base.log, head.log, fields)
            if step is not None:
                self._kinds = (fields,)
                return Trial(scenario=scenario, step=step, field_names=fields, base=base, head=head)
        return None


class _Route(StrEnum):
    """In which order a workload is made simpler."""

    AT_ONCE = "all requests at the start"
    AS_THEY_ARRIVE = "requests as they arrive"


class _SpentError(Exception):
    """No run is left."""


@dataclass(slots=True, kw_only=True)
class _Reducer(Generic[_Shown]):
    """The scenario so far, and what it has cost."""

    probe: Probe[_Shown]
    still: str
    gone: str
    best: _Shown | None = None
    runs: int = 0
    tried: list[str] = field(default_factory=list)
    _max_runs: int = 0
    _deadline: float = 0.0
    _known: dict[Scenario, _Shown | None] = field(default_factory=dict)

    @property
    def scenario(self) -> Scenario:
        assert self.best is not None, "the start differs"
        return self.best.scenario

    def limit(self, *, max_runs: int, deadline: float) -> None:
        """Stop after so many runs in all, or at that monotonic time."""
        self._max_runs, self._deadline = max_runs, deadline

    def begin(self, start: Scenario) -> _Shown | None:
        """Run the whole."""
        self.runs = 1
        self._known[start] = trial = self.probe(start)
        return trial

    def follow(self, route: _Route, whole: _Shown) -> tuple[_Shown, bool]:
        """Return the smallest trial on one route, and whether its end was reached."""
        self.best = whole
        self.tried.append(f"route: {route}")
        try:
            self.drop_later_requests()
            if route is _Route.AT_ONCE:
                self.submit_at_once()
            self.drop_requests()
            while self.shorten() | self.drop_levels() | self.submit_at_once():
                self.drop_requests()
        except _SpentError:
            self.tried.append(f"stopped after {self.runs} runs: the limit of runs or time was reached")
            return self.best, False
        return self.best, True

    def differs(self, scenario: Scenario) -> bool:
        """Run a smaller scenario; it becomes the best one when it shows what is looked for."""
        if scenario not in self._known:
            if self.runs >= self._max_runs or time.monotonic() > self._deadline:
                raise _SpentError
            self.runs += 1
            try:
                self._known[scenario] = self.probe(scenario)
            except ExhaustersError:  # a workload without requests is one, too
                self._known[scenario] = None
        trial = self._known[scenario]
        if trial is not None:
            self.best = trial
        return trial is not None

    def drop_later_requests(self) -> None:
        """Leave out what was submitted after the divergence."""
        assert self.best is not None, "the start differs"
        submitted, step = self.best.submitted_steps, self.best.step
        early = tuple(one for one in self.scenario.requests if submitted.get(one.rid, step + 1) <= step)
        if early and len(early) < len(self.scenario.requests):
            self._stage("requests submitted later", [replace(self.scenario, requests=early)])

    def submit_at_once(self) -> bool:
        """Let every request arrive at the start; tells whether that is still a difference."""
        before = self.scenario
        now = tuple(replace(one, arrival_seconds=0.0, after=None) for one in self.scenario.requests)
        if now != self.scenario.requests:
            self._stage("arrival times", [replace(self.scenario, requests=now)])
        return before != self.scenario

    def drop_requests(self) -> None:
        """Delta debugging over all requests, warm-up included."""
        start, runs = self.scenario, self.runs

        def differs(kept: Sequence[Request]) -> bool:
            rids = {one.rid for one in kept}
            return self.differs(
                replace(
                    start,
                    warmup=tuple(one for one in start.warmup if one.rid in rids),
                    requests=tuple(one for one in start.requests if one.rid in rids),
                )
            )

        every = [*start.warmup, *start.requests]
        try:
            ddmin(every, differs)
        finally:
            left = len(self.scenario.warmup) + len(self.scenario.requests)
            self.tried.append(f"requests {len(every)} → {left} ({self.runs - runs} runs)")

    def shorten(self) -> bool:
        """Halve outputs and prompts while the builds differ; tells whether anything became shorter."""
        before, runs = self.scenario, self.runs
        self._stage("more than one output", [with_outputs(before, 1)])
        for rid in [one.rid for one in before.requests]:
            self._halve(partial(half_output, rid=rid))
        for key in segment_keys(before):
            self._halve(partial(half_segment, key=key))
        tokens = [prompt_tokens_of(one) for one in (before, self.scenario)]
        outputs = [sum(one.max_new_tokens for one in each.requests) for each in (before, self.scenario)]
        self.tried.append(
            f"prompt tokens {tokens[0]:,} → {tokens[1]:,}, outputs {outputs[0]:,} → {outputs[1]:,} "
            f"({self.runs - runs} runs)"
        )
        return before != self.scenario

    def drop_levels(self) -> bool:
        """Leave out pressure, one level at a time; tells whether any was left out."""
        before = self.scenario
        for name in before.levels.given():
            levels: dict[str, Any] = {
                key: value for key, value in self.scenario.levels.given().items() if key != name
            }
            held = self.scenario.levels.held and bool(levels)
            self._stage(name, [replace(self.scenario, levels=PressureLevels(held=held, **levels))])
        if self.scenario.levels.held:
            once = PressureLevels(held=False, **self.scenario.levels.given())
            self._stage("held", [replace(self.scenario, levels=once)])
        return before != self.scenario

    def _halve(self, shorter: Callable[[Scenario], Scenario]) -> None:
        while (smaller := shorter(self.scenario)) != self.scenario and self.differs(smaller):
            pass

    def _stage(self, what: str, candidates: Iterable[Scenario]) -> None:
        for candidate in candidates:
            if candidate != self.scenario:
                said = self.still if self.differs(candidate) else self.gone
                self.tried.append(f"without {what}: {said}")
