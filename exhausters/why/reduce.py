"""Cuts a cell down to the smallest workload on which two builds still decide differently."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from exhausters.errors import ExhaustersError
from exhausters.observe.decision_log import DecisionLog
from exhausters.observe.step_record import StepRecord
from exhausters.pressure.levels import PressureLevels
from exhausters.sweep.record import CellResult
from exhausters.why.ddmin import ddmin
from exhausters.workloads import Request, Segment, Workload

# What a scheduler decides about a batch; pool levels follow from it, with exceptions.
BATCH_FIELDS = ("mode", "rids", "tokens", "retracted_rids")
ALL_FIELDS = tuple(StepRecord.__dataclass_fields__)

MAX_RUNS = 200
MAX_SECONDS = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What is run on both builds.

    Attributes:
        warmup: run to completion first.
        requests: the measured ones.
        levels: the pressure.
    """

    warmup: tuple[Request, ...]
    requests: tuple[Request, ...]
    levels: PressureLevels

    @classmethod
    def of(cls, workload: Workload, levels: PressureLevels) -> Scenario:
        """Return a whole workload under these levels."""
        return cls(warmup=workload.warmup_requests, requests=workload.requests, levels=levels)

    def workload(self, name: str) -> Workload:
        """Return it as a workload; raises WorkloadError when no request is left."""
        return Workload(name=name, requests=_linked(self.requests), warmup_requests=_linked(self.warmup))


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Reduction:
    """The smallest scenario that was found, and how.

    Attributes:
        trial: the last scenario that differs.
        is_minimal: whether removing any one request was tried and made the difference go away.
        runs: how often both builds were run.
        tried: what was tried, in order: a sentence per stage.
    """

    trial: Trial
    is_minimal: bool
    runs: int
    tried: tuple[str, ...]


RunBoth = Callable[[Scenario], tuple[CellResult, CellResult]]


def reduce_scenario(
    start: Scenario, run: RunBoth, *, max_runs: int = MAX_RUNS, max_seconds: float = MAX_SECONDS
) -> Reduction | None:
    """Return the smallest scenario on which the builds differ; None when they do not differ on `start`.

    Args:
        start: the whole cell.
        run: runs a scenario on base and head; what it raises of this project's errors is no difference.
        max_runs: after so many runs the best until then is returned.
        max_seconds: likewise, in real time.
    """
    reducer = _Reducer(run=run, max_runs=max_runs, deadline=time.monotonic() + max_seconds)
    if not reducer.begin(start):
        return None
    is_minimal = False
    try:
        reducer.drop_later_requests()
        reducer.drop_requests()
        # Arrival times late: who has to wait for whom can need them, or many requests in their place.
        while reducer.shorten() | reducer.drop_levels() | reducer.submit_at_once():
            reducer.drop_requests()
        is_minimal = True
    except _SpentError:
        reducer.tried.append(f"stopped after {reducer.runs} runs: the limit of runs or time was reached")
    assert reducer.best is not None, "the start differs"
    return Reduction(trial=reducer.best, is_minimal=is_minimal, runs=reducer.runs, tried=tuple(reducer.tried))


def first_difference(base: DecisionLog, head: DecisionLog, field_names: Sequence[str]) -> int | None:
    """Return the first step in which any of these fields differs, or in which one log has ended."""
    shared = min(len(base), len(head))
    for step in range(shared):
        ours, theirs = base.steps[step], head.steps[step]
        if ours != theirs and any(getattr(ours, name) != getattr(theirs, name) for name in field_names):
            return step
    return None if len(base) == len(head) else shared


class _SpentError(Exception):
    """No run is left."""


@dataclass(slots=True, kw_only=True)
class _Reducer:
    """The scenario so far, and what it has cost."""

    run: RunBoth
    max_runs: int
    deadline: float
    best: Trial | None = None
    runs: int = 0
    tried: list[str] = field(default_factory=list)
    field_names: tuple[str, ...] = BATCH_FIELDS
    _known: dict[Scenario, bool] = field(default_factory=dict)

    @property
    def scenario(self) -> Scenario:
        assert self.best is not None, "the start differs"
        return self.best.scenario

    def begin(self, start: Scenario) -> bool:
        """Run the whole; a difference of batches is looked for before one of pool levels alone."""
        base, head = self.run(start)
        self.runs = 1
        for self.field_names in (BATCH_FIELDS, ALL_FIELDS):
            if self._note(start, base, head):
                self._known[start] = True
                return True
        return False

    def differs(self, scenario: Scenario) -> bool:
        """Run a smaller scenario; it becomes the best one when the builds differ on it."""
        if scenario not in self._known:
            if self.runs >= self.max_runs or time.monotonic() > self.deadline:
                raise _SpentError
            self.runs += 1
            try:
                base, head = self.run(scenario)
            except ExhaustersError:  # a workload without requests is one, too
                self._known[scenario] = False
            else:
                self._known[scenario] = self._note(scenario, base, head)
        return self._known[scenario]

    def _note(self, scenario: Scenario, base: CellResult, head: CellResult) -> bool:
        step = first_difference(base.log, head.log, self.field_names)
        if step is None:
            return False
        self.best = Trial(scenario=scenario, step=step, field_names=self.field_names, base=base, head=head)
        return True

    def drop_later_requests(self) -> None:
        """Leave out what was submitted after the divergence."""
        assert self.best is not None, "the start differs"
        facts, step = self.best.base.facts, self.best.step
        submitted = facts.submitted_steps if facts is not None else {}
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
        self._stage("more than one output", [_with_outputs(before, 1)])
        for rid in [one.rid for one in before.requests]:
            self._halve(partial(_half_output, rid=rid))
        for key in _segment_keys(before):
            self._halve(partial(_half_segment, key=key))
        tokens = [_prompt_tokens(one) for one in (before, self.scenario)]
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
                gone = self.differs(candidate)
                self.tried.append(f"without {what}: {'still differs' if gone else 'no difference, kept'}")


def _linked(requests: Sequence[Request]) -> tuple[Request, ...]:
    """Requests whose predecessor is gone arrive with the request before them in the list."""
    known: set[str] = set()
    found: list[Request] = []
    seconds = 0.0
    for one in requests:
        if one.after is not None and one.after not in known:
            one = replace(one, after=None, arrival_seconds=seconds)
        if one.after is None:
            seconds = max(seconds, one.arrival_seconds)
        known.add(one.rid)
        found.append(one)
    return tuple(found)


def _with_outputs(scenario: Scenario, tokens: int) -> Scenario:
    return replace(scenario, requests=tuple(replace(one, max_new_tokens=tokens) for one in scenario.requests))


def _half_output(scenario: Scenario, rid: str) -> Scenario:
    return replace(
        scenario,
        requests=tuple(
            replace(one, max_new_tokens=_shorter(one.max_new_tokens)) if one.rid == rid else one
            for one in scenario.requests
        ),
    )


# Segments that share a prefix stay alike: they are one unit.
_Key = int | str


def _key(request: Request, segment: Segment) -> _Key:
    return request.rid if segment.seed is None else segment.seed


def _segment_keys(scenario: Scenario) -> list[_Key]:
    return list(dict.fromkeys(_key(one, part) for one in _every(scenario) for part in one.prompt))


def _half_segment(scenario: Scenario, key: _Key) -> Scenario:
    def half(one: Request) -> Request:
        prompt = tuple(
            replace(part, length=_shorter(part.length)) if _key(one, part) == key else part
            for part in one.prompt
        )
        return replace(one, prompt=prompt)

    return replace(
        scenario,
        warmup=tuple(map(half, scenario.warmup)),
        requests=tuple(map(half, scenario.requests)),
    )


def _shorter(length: int) -> int:
    """The largest power of two below a length: at least half of it, and easy to read."""
    return 1 << max(0, (length - 1).bit_length() - 1)


def _prompt_tokens(scenario: Scenario) -> int:
    return sum(one.prompt_tokens for one in _every(scenario))


def _every(scenario: Scenario) -> Iterator[Request]:
    yield from scenario.warmup
    yield from scenario.requests
