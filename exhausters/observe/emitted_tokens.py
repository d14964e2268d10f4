"""Which requests emit a token in which step: the one rule that outputs, latencies and followers use."""

from __future__ import annotations

from collections.abc import Iterator

from exhausters.engine.api import PREFILL_ROLE
from exhausters.observe.decision_log import DecisionLog
from exhausters.observe.step_record import DECODE, IDLE, StepRecord


def computes_token_for(record: StepRecord) -> tuple[str, ...]:
    """Return the requests for which the step's forward computes an output token.

    A decode computes one for each request; so does a prefill, except for the request that has chunks left.
    What the prefill engine of a pair computes counts when its transfer has ended: `StepRecord.arrived_rids`.
    """
    if record.mode == IDLE or record.role == PREFILL_ROLE:
        return ()
    if record.mode == DECODE or record.chunked_rid is None:
        return record.rids
    return tuple(rid for rid in record.rids if rid != record.chunked_rid)


def tokens_computed(record: StepRecord) -> tuple[str, ...]:
    """Return the same requests, each as often as the step's forward computes an output token for it."""
    if not record.emitted_tokens:
        return computes_token_for(record)
    return tuple(
        rid for rid, count in zip(record.rids, record.emitted_tokens, strict=True) for _ in range(count)
    )


def emissions(log: DecisionLog) -> Iterator[tuple[StepRecord, tuple[str, ...]]]:
    """Yield each step with the requests that get a token from it, once for each token.

    In the overlap loop a step's result is looked at one step later; SGLang drops the token of a request that
    was retracted in between, and computes it again.
    """
    for position, record in enumerate(log.steps):
        computed = tokens_computed(record)
        after = log.steps[position + 1] if position + 1 < len(log.steps) else None
        if after is not None and after.dropped_rids:
            computed = tuple(rid for rid in computed if rid not in after.dropped_rids)
        # What has come from another engine is dropped by no retraction.
        yield record, (record.arrived_rids + computed if record.arrived_rids else computed)
