"""The last steps of a run as lines of text."""

from __future__ import annotations

from collections.abc import Sequence

from exhausters.observe.step_record import IDLE, StepRecord

KEPT_STEPS = 12
_SHOWN_REQUESTS = 4


def steps_text(steps: Sequence[StepRecord]) -> str:
    """Return a line for each of the last `KEPT_STEPS` steps, oldest first; empty without steps."""
    return "\n".join(_line(step) for step in steps[-KEPT_STEPS:])


def _line(step: StepRecord) -> str:
    does = "idle" if step.mode == IDLE else f"{step.mode} {_batch(step)}"
    parts = [f"step {step.step}: {does}"]
    if step.chunked_rid is not None:
        parts.append(f"in chunks: {step.chunked_rid}")
    if step.retracted_rids:
        parts.append(f"retracted: {', '.join(step.retracted_rids)}")
    if step.preempted_rids:
        parts.append(f"preempted: {', '.join(step.preempted_rids)}")
    if step.evict_calls:
        parts.append(f"evicted {step.evict_given_tokens:,} tokens")
    tokens = f"{step.free_tokens:,} free, {step.evictable_tokens:,} evictable, {step.held_tokens:,} held"
    parts.append(f"tokens {tokens}")
    parts.append(f"waiting {step.waiting}")
    return "; ".join(parts)


def _batch(step: StepRecord) -> str:
    shown = [f"{rid} ({tokens:,})" for rid, tokens in zip(step.rids, step.tokens, strict=False)]
    more = len(shown) - _SHOWN_REQUESTS
    return ", ".join(shown[:_SHOWN_REQUESTS]) + (f" and {more} more" if more > 0 else "")
