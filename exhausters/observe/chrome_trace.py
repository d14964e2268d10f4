"""A decision log as a Chrome trace, which Perfetto and chrome://tracing open.

The form is the JSON of the Trace Event Format: `X` is a slice, `i` an instant, `C` a counter, `M` a name.
Times are modelled, in microseconds since the measured part of the run began.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from exhausters.observe.step_record import DECODE, IDLE, StepRecord

# Processes of the trace: Perfetto groups tracks by them.
_ENGINE_PID, _REQUESTS_PID = 1, 2
_BATCHES_TID, _EVICTIONS_TID = 1, 2

Event = dict[str, Any]


def chrome_trace(steps: Sequence[StepRecord], *, title: str) -> dict[str, Any]:
    """Return the trace of one run: a track per request, one for batches, one for evictions, pool counters.

    Args:
        steps: the records of a decision log, in order.
        title: name of the run, shown as the name of the engine's process.
    """
    events = [
        *_names(steps, title),
        *_batches(steps),
        *_evictions(steps),
        *_counters(steps),
        *_requests(steps),
    ]
    return {"displayTimeUnit": "ms", "traceEvents": events}


def _names(steps: Sequence[StepRecord], title: str) -> Iterator[Event]:
    yield _named("process_name", _ENGINE_PID, 0, title)
    yield _named("process_name", _REQUESTS_PID, 0, "requests")
    yield _named("thread_name", _ENGINE_PID, _BATCHES_TID, "batches")
    yield _named("thread_name", _ENGINE_PID, _EVICTIONS_TID, "evictions")
    for rid, tid in _request_tracks(steps).items():
        yield _named("thread_name", _REQUESTS_PID, tid, rid)


def _batches(steps: Sequence[StepRecord]) -> Iterator[Event]:
    for record in steps:
        if record.mode != IDLE:
            facts = {
                "step": record.step,
                "requests": len(record.rids),
                "tokens": sum(record.tokens),
                "chunked": record.chunked_rid,
                "waiting": record.waiting,
            }
            yield _slice(record.mode, _ENGINE_PID, _BATCHES_TID, record, record, facts)


def _evictions(steps: Sequence[StepRecord]) -> Iterator[Event]:
    for record in steps:
        if record.evict_calls:
            facts = {
                "step": record.step,
                "calls": record.evict_calls,
                "asked tokens": record.evict_asked_tokens,
                "evicted tokens": record.evict_given_tokens,
            }
            yield _instant("evict", _ENGINE_PID, _EVICTIONS_TID, record, facts)


def _counters(steps: Sequence[StepRecord]) -> Iterator[Event]:
    for record in steps:
        kv_tokens = {
            "free": record.free_tokens,
            "evictable": record.evictable_tokens,
            "protected": record.protected_tokens,
            "in use": record.in_use_tokens,
            "held": record.held_tokens,
        }
        rows = {"free": record.free_rows, "held": record.held_rows}
        counters = {"KV tokens": kv_tokens, "rows": rows, "waiting": {"requests": record.waiting}}
        host_tokens = {
            "free": record.host_free_tokens,
            "cached": record.host_cached_tokens,
            "held": record.host_held_tokens,
        }
        if any(host_tokens.values()):
            counters["host tokens"] = host_tokens
        slots = {
            "free": record.mamba_free_slots,
            "evictable": record.mamba_evictable_slots,
            "protected": record.mamba_protected_slots,
            "in use": record.mamba_in_use_slots,
            "held": record.mamba_held_slots,
        }
        if any(slots.values()):
            counters["mamba slots"] = slots
        if record.role:
            counters["transfers"] = {
                "bootstrapping": record.bootstrapping,
                "preallocating": record.preallocating,
                "transferring": record.transferring,
            }
        if record.draft_reserved_tokens:
            counters["draft tokens"] = {"reserved": record.draft_reserved_tokens}
        for name, values in counters.items():
            yield {"ph": "C", "name": name, "pid": _ENGINE_PID, "ts": record.end_ns / 1e3, "args": values}


def _requests(steps: Sequence[StepRecord]) -> Iterator[Event]:
    tracks = _request_tracks(steps)
    # The first and the newest step of each run of decode steps that is still going on, by request.
    decoding: dict[str, tuple[StepRecord, StepRecord]] = {}
    for record in steps:
        for rid in record.retracted_rids:
            yield _instant("retract", _REQUESTS_PID, tracks[rid], record, {"step": record.step})
        for rid in record.preempted_rids:
            yield _instant("preempt", _REQUESTS_PID, tracks[rid], record, {"step": record.step})
        here = set(record.rids) if record.mode == DECODE else set()
        for rid in [rid for rid in decoding if rid not in here]:
            yield _decode_slice(tracks[rid], *decoding.pop(rid))
        if record.mode == DECODE:
            for rid in record.rids:
                first, _ = decoding.get(rid, (record, record))
                decoding[rid] = first, record
        else:
            yield from _computed(record, tracks)
    for rid, (first, last) in decoding.items():
        yield _decode_slice(tracks[rid], first, last)


def _computed(record: StepRecord, tracks: dict[str, int]) -> Iterator[Event]:
    """The slices of a prefill or mixed step; SGLang puts the decoding requests of a mixed batch last."""
    prompts = len(record.rids) - record.decoding_requests
    for place, rid in enumerate(record.rids):
        if place >= prompts:
            yield _slice("decode", _REQUESTS_PID, tracks[rid], record, record, {"step": record.step})
            continue
        name = "prefill chunk" if rid == record.chunked_rid else "prefill"
        facts = {
            "step": record.step,
            "tokens": record.tokens[place],
            "prefix tokens": record.prefix_tokens[place],
        }
        yield _slice(name, _REQUESTS_PID, tracks[rid], record, record, facts)


def _decode_slice(tid: int, first: StepRecord, last: StepRecord) -> Event:
    facts = {"first step": first.step, "last step": last.step}
    return _slice("decode", _REQUESTS_PID, tid, first, last, facts)


def _request_tracks(steps: Sequence[StepRecord]) -> dict[str, int]:
    """Numbers of the requests' tracks, in order of first appearance."""
    rids = dict.fromkeys(
        rid for record in steps for rid in (*record.rids, *record.retracted_rids, *record.preempted_rids)
    )
    return {rid: number for number, rid in enumerate(rids, start=1)}


def _named(kind: str, pid: int, tid: int, name: str) -> Event:
    return {"ph": "M", "name": kind, "pid": pid, "tid": tid, "args": {"name": name}}


def _slice(
    name: str, pid: int, tid: int, first: StepRecord, last: StepRecord, facts: dict[str, Any]
) -> Event:
    begin_ns = first.end_ns - first.forward_ns
    return {
        "ph": "X",
        "name": name,
        "pid": pid,
        "tid": tid,
        "ts": begin_ns / 1e3,
        "dur": (last.end_ns - begin_ns) / 1e3,
        "args": facts,
    }


def _instant(name: str, pid: int, tid: int, record: StepRecord, facts: dict[str, Any]) -> Event:
    begin_ns = record.end_ns - record.forward_ns
    return {"ph": "i", "s": "t", "name": name, "pid": pid, "tid": tid, "ts": begin_ns / 1e3, "args": facts}
