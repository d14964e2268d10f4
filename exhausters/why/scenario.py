"""What is run on both builds to find the smallest reproducer, and how it is made smaller."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from exhausters.pressure.levels import PressureLevels
from exhausters.workloads import Request, Segment, Workload


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
        """Return a whole workload under these levels, without sessions.

        A turn of a session is nothing without the turns before it, which a smaller scenario leaves out: here
        each request sends its whole prompt.
        """
        requests = tuple(replace(one, session=None) for one in workload.requests)
        return cls(warmup=workload.warmup_requests, requests=requests, levels=levels)

    def workload(self, name: str) -> Workload:
        """Return it as a workload; raises WorkloadError when no request is left."""
        return Workload(name=name, requests=_linked(self.requests), warmup_requests=_linked(self.warmup))


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


def with_outputs(scenario: Scenario, tokens: int) -> Scenario:
    """Return it with the same number of outputs for each measured request."""
    return replace(scenario, requests=tuple(replace(one, max_new_tokens=tokens) for one in scenario.requests))


def half_output(scenario: Scenario, rid: str) -> Scenario:
    """Return it with about half the outputs for one request."""
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


def segment_keys(scenario: Scenario) -> list[_Key]:
    """Return what `half_segment` can shorten, in order of appearance."""
    return list(dict.fromkeys(_key(one, part) for one in _every(scenario) for part in one.prompt))


def half_segment(scenario: Scenario, key: _Key) -> Scenario:
    """Return it with one segment about half as long, in every prompt that has it."""

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


def prompt_tokens_of(scenario: Scenario) -> int:
    """Return the prompt tokens of all requests, warm-up included."""
    return sum(one.prompt_tokens for one in _every(scenario))


def _every(scenario: Scenario) -> Iterator[Request]:
    yield from scenario.warmup
    yield from scenario.requests
