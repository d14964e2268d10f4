"""The first divergence of two decision logs as one sentence, for readers who do not know the step record."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from exhausters.observe.step_record import DECODE, IDLE, MIXED, StepRecord

# Names in a list of requests before the rest becomes a count.
_NAMED_REQUESTS = 3
_MODES = {
    "prefill": "prefills",
    "decode": "decodes",
    "mixed": "runs a mixed batch of",
    "idle": "runs nothing",
}
# What is compared after the step, when both sides did the same in it.
_LEVELS = (
    ("free_tokens", "free KV tokens"),
    ("evictable_tokens", "evictable tokens"),
    ("protected_tokens", "locked tokens"),
    ("in_use_tokens", "tokens that requests own"),
    ("held_tokens", "held tokens"),
    ("free_rows", "free rows"),
    ("held_rows", "held rows"),
    ("waiting", "waiting requests"),
    ("window_free_tokens", "free window tokens"),
    ("window_evictable_tokens", "evictable window tokens"),
    ("window_protected_tokens", "locked window tokens"),
    ("window_evicted_tokens", "evicted window tokens"),
    ("window_held_tokens", "window tokens held by pressure"),
    ("mamba_evicted_slots", "evicted mamba slots"),
    ("mamba_free_slots", "free mamba slots"),
    ("mamba_evictable_slots", "evictable mamba slots"),
    ("mamba_protected_slots", "locked mamba slots"),
    ("mamba_in_use_slots", "mamba slots that requests own"),
    ("mamba_held_slots", "mamba slots held by pressure"),
    ("backed_up_tokens", "tokens copied to the host"),
    ("loaded_back_tokens", "tokens loaded back from the host"),
    ("host_evicted_tokens", "evicted host tokens"),
    ("host_free_tokens", "free host tokens"),
    ("host_cached_tokens", "cached host tokens"),
    ("host_held_tokens", "host tokens held by pressure"),
    ("bootstrapping", "requests that wait for the other engine"),
    ("preallocating", "requests to be preallocated"),
    ("transferring", "requests in transfer"),
    ("transfer_tokens", "tokens that requests in transfer hold"),
    ("arrived_tokens", "transferred tokens"),
    ("free_prealloc_slots", "free slots for transfers"),
    ("held_prealloc_slots", "slots for transfers held by pressure"),
    ("load_back_wait_ns", "modelled nanoseconds of waiting for load-backs"),
    ("backup_wait_ns", "modelled nanoseconds of waiting for backups"),
    ("batch_adapters", "adapters in the batch"),
    ("adapter_loads", "adapters put into a slot"),
    ("held_lora_slots", "adapter slots held by pressure"),
    ("session_tokens", "tokens that sessions keep"),
    ("session_rows", "rows that sessions keep"),
    ("compiling", "requests that wait for a grammar"),
    ("draft_kv_taken_tokens", "KV tokens taken for drafts"),
    ("draft_kv_returned_tokens", "KV tokens of drafts given back"),
    ("draft_reserved_tokens", "KV tokens reserved for drafts"),
    ("forward_ns", "modelled nanoseconds of the forward"),
    ("end_ns", "modelled nanoseconds at its end"),
)

# What no description above tells: the same requests in the same batch, and yet not the same.
_OTHERS = {
    "tokens": "the tokens that the batch computes",
    "prefix_tokens": "the tokens of the batch that were cached",
    "decoding_requests": "how many requests of the mixed batch decode",
    "retracted_rids": "the order of retractions",
    "retracted_tokens": "the KV tokens that retractions throw away",
    "preempted_rids": "the requests that are preempted",
    "preempted_tokens": "the KV tokens that preemptions throw away",
    "emitted_tokens": "the tokens that verified drafts emit",
    "dropped_rids": "the retracted requests that lose the token of the step before",
    "arrived_rids": "the requests whose transfer has ended",
    "failed_transfer_rids": "the requests whose transfer has failed",
}


def divergence_sentence(base: StepRecord | None, head: StepRecord | None) -> str:
    """Return what head does differently in the first step that differs, without a full stop.

    The first thing that differs is named, in the order in which a scheduler decides: who is retracted, what
    kind of batch is formed, who is in it, with how many tokens, what is evicted, what is left in the pools.

    Args:
        base, head: the records of that step; None where that side's log has ended before it.

    Raises:
        ValueError: both are None, or nothing differs.
    """
    if base is None or head is None:
        return _ended(base, head)
    for describe in _DESCRIPTIONS:
        found = describe(base, head)
        if found:
            return f"step {head.step}: {found}"
    raise ValueError(f"step {head.step}: the records are equal; expected the first step that differs")


def _ended(base: StepRecord | None, head: StepRecord | None) -> str:
    if base is not None:
        return f"step {base.step}: head has ended, base {_does(base)}"
    if head is not None:
        return f"step {head.step}: base has ended, head {_does(head)}"
    raise ValueError("both logs have ended; expected the first step that differs")


def _retractions(base: StepRecord, head: StepRecord) -> str:
    parts = []
    more = _without(head.retracted_rids, base.retracted_rids)
    fewer = _without(base.retracted_rids, head.retracted_rids)
    if more:
        parts.append(f"head {'also ' if base.retracted_rids else ''}retracts {_named(more)}")
    if fewer:
        parts.append(f"head does not retract {_named(fewer)}")
    if base.memory_aborts != head.memory_aborts:
        parts.append(f"requests aborted for memory {base.memory_aborts} → {head.memory_aborts}")
    return "; ".join(parts)


def _mode(base: StepRecord, head: StepRecord) -> str:
    if base.mode == head.mode:
        return ""
    return f"head {_does(head)}, base {_does(base)}"


def _membership(base: StepRecord, head: StepRecord) -> str:
    more, fewer = _without(head.rids, base.rids), _without(base.rids, head.rids)
    parts = []
    if more:
        verb = "decodes" if head.mode == DECODE else "admits"
        parts.append(f"head {'also ' if base.rids else ''}{verb} {_with_tokens(more, head)}")
    if fewer:
        parts.append(f"{'' if more else 'head '}leaves out {_with_tokens(fewer, base)}")
    if parts:
        return f"{' and '.join(parts)} ({_sizes(base, head)})"
    if base.rids != head.rids:
        return f"head orders the batch {_named(head.rids)}, base {_named(base.rids)}"
    return ""


def _tokens(base: StepRecord, head: StepRecord) -> str:
    cached = _first_difference(base.rids, base.prefix_tokens, head.prefix_tokens)
    if cached is not None:
        rid, ours, theirs = cached
        more = "more" if theirs > ours else "fewer"
        return (
            f"head finds {abs(theirs - ours):,} {more} tokens of {rid} in the cache "
            f"({ours:,} → {theirs:,}; {_sizes(base, head)})"
        )
    computed = _first_difference(base.rids, base.tokens, head.tokens)
    if computed is not None:
        rid, ours, theirs = computed
        return f"head computes {theirs:,} tokens of {rid}, base {ours:,} ({_sizes(base, head)})"
    if base.chunked_rid != head.chunked_rid:
        names = [record.chunked_rid or "none" for record in (head, base)]
        return "the request with chunks left is {}, in base {}".format(*names)
    return ""


def _evictions(base: StepRecord, head: StepRecord) -> str:
    ours = base.evict_calls, base.evict_asked_tokens, base.evict_given_tokens
    theirs = head.evict_calls, head.evict_asked_tokens, head.evict_given_tokens
    if ours == theirs:
        return ""
    return (
        f"head evicts {theirs[2]:,} tokens in {_count(theirs[0], 'call')} that asked for {theirs[1]:,}, "
        f"base {ours[2]:,} in {_count(ours[0], 'call')} that asked for {ours[1]:,}"
    )


def _levels(base: StepRecord, head: StepRecord) -> str:
    parts = [
        f"{words} {getattr(base, name):,} → {getattr(head, name):,}"
        for name, words in _LEVELS
        if getattr(base, name) != getattr(head, name)
    ]
    return f"the same batch; after it {', '.join(parts)}" if parts else ""


def _rest(base: StepRecord, head: StepRecord) -> str:
    names = [name for name in StepRecord.__dataclass_fields__ if getattr(base, name) != getattr(head, name)]
    words = [_OTHERS.get(name, name.replace("_", " ")) for name in names]
    return f"{', '.join(words)} differ" if words else ""


_DESCRIPTIONS: tuple[Callable[[StepRecord, StepRecord], str], ...] = (
    _retractions,
    _mode,
    _membership,
    _tokens,
    _evictions,
    _levels,
    _rest,
)


def _does(record: StepRecord) -> str:
    if record.mode == IDLE:
        return _MODES[IDLE]
    if record.mode == DECODE:
        return f"decodes {_count(len(record.rids), 'request')}"
    tokens = f"{sum(record.tokens):,} tokens"
    if record.mode == MIXED:
        return f"{_MODES[MIXED]} {_count(len(record.rids), 'request')} ({tokens})"
    return f"prefills {_named(record.rids)} ({tokens})"


def _with_tokens(rids: Sequence[str], record: StepRecord) -> str:
    if record.mode == DECODE or len(rids) > 1:
        return _named(rids)
    place = record.rids.index(rids[0])
    is_part = record.chunked_rid == rids[0]
    return f"{rids[0]} with {record.tokens[place]:,} {'of its ' if is_part else ''}tokens"


def _sizes(base: StepRecord, head: StepRecord) -> str:
    requests = _change(len(base.rids), len(head.rids))
    if base.mode == head.mode == DECODE:
        return f"batch {requests} requests"
    return f"batch {requests} requests, {_change(sum(base.tokens), sum(head.tokens))} tokens"


def _change(ours: int, theirs: int) -> str:
    return f"{ours:,}" if ours == theirs else f"{ours:,} → {theirs:,}"


def _first_difference(
    rids: Sequence[str], ours: Sequence[int], theirs: Sequence[int]
) -> tuple[str, int, int] | None:
    if len(ours) != len(theirs):
        return None
    return next(
        (found for found in zip(rids, ours, theirs, strict=False) if found[1] != found[2]),
        None,
    )


def _without(rids: Sequence[str], others: Sequence[str]) -> list[str]:
    known = set(others)
    return [rid for rid in rids if rid not in known]


def _named(rids: Sequence[str]) -> str:
    shown = ", ".join(rids[:_NAMED_REQUESTS])
    more = len(rids) - _NAMED_REQUESTS
    return f"{shown} and {more} more" if more > 0 else shown


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
