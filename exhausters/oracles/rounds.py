"""What is the same after each round of requests: live objects, and the cost of an idle step."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from exhausters.observe.live_objects import Grown, LiveObjects, grown_containers, grown_types
from exhausters.oracles.base import Finding, Judgement, Oracle, PromiseJudged, World

# Caches fill and code is imported in the first rounds; what grows in each one after them goes on growing.
WARM_ROUNDS, JUDGED_ROUNDS = 2, 4
ROUNDS = WARM_ROUNDS + JUDGED_ROUNDS
IDLE_STEPS = 4
_SHOWN = 4
_ELSEWHERE = "in a single run; once for each engine, in rounds"


class _OfRounds(Oracle):
    """A promise that one run cannot show."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.not_judged = _ELSEWHERE


class NothingGrows(_OfRounds):
    """When all requests have ended and the cache is flushed, nothing is left of them."""

    name = "nothing grows"
    wants = (
        "after each round of requests, with the engine idle and its cache flushed, no type has more live "
        "objects and no container more elements than after the round before"
    )


class IdleCost(_OfRounds):
    """An idle engine does not pay for what it has served."""

    name = "idle cost"
    wants = "an idle step makes no more calls after more requests were served"


# Promises that only several rounds show: no script of one run does.
OF_ROUNDS = (NothingGrows.name, IdleCost.name)


def judge_rounds(looks: Sequence[LiveObjects], idle_calls: Sequence[Sequence[int]]) -> Judgement:
    """Judge `ROUNDS` rounds of the same requests.

    Args:
        looks: what was alive after each.
        idle_calls: calls of each of a few idle steps after each.
    """
    found = [*_grown(looks[WARM_ROUNDS - 1 :]), *_idle(idle_calls[WARM_ROUNDS - 1 :], looks)]
    cheapest = [min(calls) for calls in idle_calls[WARM_ROUNDS - 1 :]]
    return Judgement(
        findings=tuple(found),
        promises=(
            PromiseJudged(promise=NothingGrows.name, judged=JUDGED_ROUNDS),
            PromiseJudged(
                promise=IdleCost.name,
                judged=JUDGED_ROUNDS,
                measured=f"{min(cheapest):,} to {max(cheapest):,} calls in an idle step",
            ),
        ),
    )


def _grown(looks: Sequence[LiveObjects]) -> list[Finding]:
    grown = [*grown_types(looks), *grown_containers(looks)]
    if not grown:
        return []
    served = looks[-1].requests - looks[0].requests
    shown = "; ".join(map(_in_words, grown[:_SHOWN])) + (
        f"; and {len(grown) - _SHOWN} more" if len(grown) > _SHOWN else ""
    )
    return [
        Finding(
            promise=NothingGrows.name,
            wants=NothingGrows.wants,
            saw=f"in each of {len(looks) - 1} rounds, {served} requests in all, for 1,000 requests: {shown}",
            step=0,
            first_step=0,
            cause=grown[0].what,
        )
    ]


def _in_words(grown: Grown) -> str:
    what = "elements of" if grown.is_container else "objects of"
    return f"{grown.per_1000_requests:,.0f} {what} {grown.what}"


def _idle(idle_calls: Sequence[Sequence[int]], looks: Sequence[LiveObjects]) -> list[Finding]:
    cheapest = [min(calls) for calls in idle_calls]
    if not all(before < after for before, after in pairwise(cheapest)):
        return []
    return [
        Finding(
            promise=IdleCost.name,
            wants=IdleCost.wants,
            saw=f"calls of an idle step after each round: {', '.join(f'{one:,}' for one in cheapest)}; "
            f"{looks[-1].requests} requests were served",
            step=0,
            first_step=0,
        )
    ]


def merged(first: Judgement | None, later: Judgement | None) -> Judgement | None:
    """Return what both say of one cell; of a promise that one of them judged, that one's answer."""
    if first is None or later is None:
        return first or later
    by_name = {one.promise: one for one in first.promises}
    for one in later.promises:
        known = by_name.get(one.promise)
        if known is None or not known.judged:
            by_name[one.promise] = one
    return Judgement(
        findings=(*first.findings, *later.findings),
        promises=tuple(by_name.values()),
    )
