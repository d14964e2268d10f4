"""What a run of several ranks leaves behind beside the log of the first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from exhausters.observe.recorder import Recorder
from exhausters.observe.run_facts import RunFacts
from exhausters.observe.summary import summarize
from exhausters.ranks.leader import Followers
from exhausters.sweep.record import RANK_METRICS, RANKS, CellResult


def facts_of_rank(facts: RunFacts, rank: int, ranks: Followers) -> RunFacts:
    """Return the facts of the requests that one rank has: all, unless each has its own.

    Args:
        facts: of all requests.
        rank: the rank.
        ranks: knows which rank has which request.
    """
    if ranks.is_alike:
        return facts

    def own(by_rid: Mapping[str, Any]) -> dict[str, Any]:
        return {rid: value for rid, value in by_rid.items() if ranks.rank_of.get(rid, 0) == rank}

    budget = facts.chunk_budget_tokens
    return replace(
        facts,
        # Each group is given its share by SGLang.
        chunk_budget_tokens=None if budget is None else budget // ranks.world.dp_size,
        submitted_steps=own(facts.submitted_steps),
        wanted_outputs=own(facts.wanted_outputs),
        shortened_outputs=own(facts.shortened_outputs),
        arrival_ns=own(facts.arrival_ns),
        sequences=own(facts.sequences),
        warm_rids=tuple(rid for rid in facts.warm_rids if ranks.rank_of.get(rid, 0) == rank),
    )


def with_ranks(result: CellResult, recorder: Recorder, facts: RunFacts, ranks: Followers) -> CellResult:
    """Return the result of the first rank with the logs of the others and, if those differ, their metrics.

    Args:
        result: what the first rank has.
        recorder: has the logs.
        facts: of all requests.
        ranks: the other ranks.
    """
    logs = recorder.rank_logs
    told: dict[str, Any] = {RANKS: ranks.world.to_json()}
    if not ranks.is_alike:
        told[RANK_METRICS] = {
            str(rank): dict(summarize(log, facts_of_rank(facts, rank, ranks)))
            for rank, log in enumerate(logs, start=1)
        }
    return replace(result, rank_logs=logs, provenance={**result.provenance, **told})
