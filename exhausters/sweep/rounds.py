"""The pass in which a cell is run several times over, and what is alive in between is compared."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace

from exhausters.observe.idle_cost import idle_calls
from exhausters.observe.live_objects import LiveObjects, live_objects
from exhausters.oracles.rounds import IDLE_STEPS, ROUNDS, judge_rounds
from exhausters.sweep.record import CellResult
from exhausters.workloads import Workload

# Runs a workload once, and resets the engine.
RunOnce = Callable[[Workload], Generator[None, None, CellResult]]


def run_rounds(workload: Workload, run_once: RunOnce) -> Generator[None, None, CellResult]:
    """Return the result of the first round, judged by what all rounds left behind.

    Each round has requests of its own, equal but for their ids.
    """
    first: CellResult | None = None
    # As many from the beginning as at the end: what is noted here must not grow either.
    looks = [LiveObjects() for _ in range(ROUNDS)]
    calls = [[0] * IDLE_STEPS for _ in range(ROUNDS)]
    served = len(workload.requests) + len(workload.warmup_requests)
    for number in range(ROUNDS):
        result = yield from run_once(_renamed(workload, number))
        first = first or result
        del result
        calls[number] = yield from idle_calls(IDLE_STEPS)
        looks[number] = live_objects((number + 1) * served)
    assert first is not None, "there is a round"
    return replace(first, judgement=judge_rounds(looks, calls))


def _renamed(workload: Workload, number: int) -> Workload:
    """The workload with other ids; the first round has its own, to be compared with other passes."""
    if not number:
        return workload
    mark = f"-round{number}"
    warmup, requests = (
        tuple(
            replace(one, rid=one.rid + mark, after=None if one.after is None else one.after + mark)
            for one in listed
        )
        for listed in (workload.warmup_requests, workload.requests)
    )
    return replace(workload, requests=requests, warmup_requests=warmup)
