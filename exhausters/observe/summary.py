"""Computes the metrics of kinds decision and modelled time from a decision log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from exhausters.observe.decision_log import DecisionLog
from exhausters.observe.emitted_tokens import emissions, tokens_computed
from exhausters.observe.latency import latency_metrics, request_times
from exhausters.observe.quantile import percentile
from exhausters.observe.recompute import ComputedPrefixes
from exhausters.observe.run_facts import RunFacts
from exhausters.observe.step_record import DECODE, IDLE, MIXED, PREFILL, StepRecord

Value = float | int | None


def summarize(log: DecisionLog, facts: RunFacts) -> dict[str, Value]:
    """Return every decision and modelled-time metric of a run, by name."""
    replay = _Replay(log, facts)
    return {
        **_step_metrics(log),
        **_prefill_metrics(log, replay, facts),
        **_decode_metrics(log),
        **_wait_metrics(replay, facts),
        **_eviction_metrics(log),
        **_cache_metrics(replay),
        **_host_tier_metrics(log),
        **_hybrid_metrics(log),
        **_adapter_metrics(log),
        **_grammar_metrics(log),
        **_session_metrics(log),
        **_transfer_metrics(log),
        **_draft_metrics(log),
        **_chunk_metrics(replay),
        **_output_metrics(replay, facts),
        **_modelled_metrics(log, replay, facts),
        **_latency_metrics(log, facts),
    }


class _Replay:
    """One pass over a log that follows each request."""

    def __init__(self, log: DecisionLog, facts: RunFacts) -> None:
        self.first_prefill_step: dict[str, int] = {}
        self.outputs: Counter[str] = Counter()
        self.cache_hit_tokens = 0
        self.prefill_tokens = 0
        self.batch_prompt_tokens: list[int] = []
        self.recomputed_tokens = 0
        self.chunk_tokens: list[int] = []
        self.chunked_rids: set[str] = set()
        self.chunk_step_ns = 0
        self.chunk_step_tokens = 0
        self.batch_prompts: list[int] = []
        self.parked_steps = 0
        self._open_chunk: set[str] = set()
        self._prefixes = ComputedPrefixes(facts.sequences, page_size=facts.page_size, adapters=facts.adapters)
        self._prefixes.add_all(facts.warm_rids)
        for record, emitted in emissions(log):
            self.outputs.update(emitted)
            if record.mode == DECODE:
                self._decode(record)
            elif record.mode in (PREFILL, MIXED):
                self._prefill(record)

    def _decode(self, record: StepRecord) -> None:
        for rid in tokens_computed(record):
            self._prefixes.decode(rid)
        self._count_park(record)

    def _prefill(self, record: StepRecord) -> None:
        has_chunk = False
        prompt_tokens = recomputed = 0
        # SGLang puts the decoding requests of a mixed batch last.
        prompts = len(record.rids) - record.decoding_requests
        for rid in record.rids[prompts:]:
            self._prefixes.decode(rid)
        for rid, computed, cached in zip(
            record.rids[:prompts], record.tokens[:prompts], record.prefix_tokens[:prompts], strict=True
        ):
            self._first(record, rid, cached)
            prompt_tokens += computed
            recomputed += self._prefixes.prefill(rid, cached=cached, computed=computed)
            if rid == record.chunked_rid or rid in self._open_chunk:
                has_chunk = True
                self._chunk(record, rid, computed)
        self.prefill_tokens += prompt_tokens
        self.recomputed_tokens += recomputed
        self.batch_prompt_tokens.append(prompt_tokens)
        self.batch_prompts.append(prompts)
        if has_chunk:
            # All prompt tokens of the step: riding along with a chunk is good packing, not a slow chunk.
            # What is computed again is no progress: a cache that loses its prefixes would look faster.
            self.chunk_step_tokens += prompt_tokens - recomputed
            self.chunk_step_ns += record.forward_ns
        self._count_park(record)

    def _first(self, record: StepRecord, rid: str, cached: int) -> None:
        if rid not in self.first_prefill_step:
            self.first_prefill_step[rid] = record.step
            self.cache_hit_tokens += cached

    def _chunk(self, record: StepRecord, rid: str, computed: int) -> None:
        self.chunk_tokens.append(computed)
        self.chunked_rids.add(rid)
        if rid == record.chunked_rid:
            self._open_chunk.add(rid)
        else:
            self._open_chunk.discard(rid)

    def _count_park(self, record: StepRecord) -> None:
        self.parked_steps += record.chunked_rid is not None and record.chunked_rid not in record.rids


def _step_metrics(log: DecisionLog) -> dict[str, Value]:
    modes = Counter(record.mode for record in log)
    return {
        "steps_to_drain": len(log),
        "prefill_steps": modes[PREFILL],
        "decode_steps": modes[DECODE],
        "mixed_steps": modes[MIXED],
        "idle_steps": modes[IDLE],
    }


def _prefill_metrics(log: DecisionLog, replay: _Replay, facts: RunFacts) -> dict[str, Value]:
    budget = facts.chunk_budget_tokens
    # Decoding requests of a mixed batch use up a part of its budget.
    riders = [record.decoding_requests for record in log if record.mode in (PREFILL, MIXED)]
    fills = [
        tokens / (budget - decoding)
        for tokens, decoding in zip(replay.batch_prompt_tokens, riders, strict=True)
        if budget and budget > decoding
    ]
    return {
        "requests_per_prefill_batch": _mean(replay.batch_prompts),
        "tokens_per_prefill_batch": _mean(replay.batch_prompt_tokens),
        "prefill_fill": _mean(fills),
    }


def _decode_metrics(log: DecisionLog) -> dict[str, Value]:
    sizes = [len(record.rids) for record in log if record.mode == DECODE]
    return {"running_batch_size_mean": _mean(sizes), "running_batch_size_max": max(sizes, default=None)}


def _wait_metrics(replay: _Replay, facts: RunFacts) -> dict[str, Value]:
    waits = sorted(
        step - facts.submitted_steps[rid]
        for rid, step in replay.first_prefill_step.items()
        if rid in facts.submitted_steps
    )
    return {
        "wait_steps_p50": percentile(waits, 50),
        "wait_steps_p99": percentile(waits, 99),
        "wait_steps_max": waits[-1] if waits else None,
    }


def _eviction_metrics(log: DecisionLog) -> dict[str, Value]:
    return {
        "eviction_calls": sum(record.evict_calls for record in log),
        "evict_asked_tokens": sum(record.evict_asked_tokens for record in log),
        "evicted_tokens": sum(record.evict_given_tokens for record in log),
        "window_evicted_tokens": sum(record.window_evicted_tokens for record in log),
        "retractions": sum(len(record.retracted_rids) for record in log),
        "retracted_tokens": sum(record.retracted_tokens for record in log),
        "preemptions": sum(len(record.preempted_rids) for record in log),
        "preempted_tokens": sum(record.preempted_tokens for record in log),
        "retraction_dropped_tokens": sum(len(record.dropped_rids) for record in log),
        "memory_aborts": sum(record.memory_aborts for record in log),
    }


def _host_tier_metrics(log: DecisionLog) -> dict[str, Value]:
    return {
        "backed_up_tokens": sum(record.backed_up_tokens for record in log),
        "loaded_back_tokens": sum(record.loaded_back_tokens for record in log),
        "host_evicted_tokens": sum(record.host_evicted_tokens for record in log),
        "host_cached_tokens_max": max((record.host_cached_tokens for record in log), default=0),
        "load_back_wait_seconds": sum(record.load_back_wait_ns for record in log) / 1e9,
        "backup_wait_seconds": sum(record.backup_wait_ns for record in log) / 1e9,
    }


def _adapter_metrics(log: DecisionLog) -> dict[str, Value]:
    sizes = [record.batch_adapters for record in log if record.batch_adapters]
    return {
        "adapter_loads": sum(record.adapter_loads for record in log),
        "adapters_per_batch_mean": _mean(sizes),
        "adapters_per_batch_max": max(sizes, default=None),
    }


def _grammar_metrics(log: DecisionLog) -> dict[str, Value]:
    return {
        "compiling_steps": sum(record.compiling > 0 for record in log),
        "compiling_requests_max": max((record.compiling for record in log), default=0),
    }


def _session_metrics(log: DecisionLog) -> dict[str, Value]:
    return {
        "session_tokens_max": max((record.session_tokens for record in log), default=0),
        "session_rows_max": max((record.session_rows for record in log), default=0),
    }


def _hybrid_metrics(log: DecisionLog) -> dict[str, Value]:
    window = [one.window_evictable_tokens + one.window_protected_tokens for one in log]
    states = [one.mamba_evictable_slots + one.mamba_protected_slots for one in log]
    return {
        "window_cached_tokens_max": max(window, default=0),
        "window_free_tokens_min": min((one.window_free_tokens for one in log), default=0),
        "mamba_evicted_slots": sum(one.mamba_evicted_slots for one in log),
        "mamba_cached_slots_max": max(states, default=0),
        "mamba_in_use_slots_max": max((one.mamba_in_use_slots for one in log), default=0),
        "mamba_free_slots_min": min((one.mamba_free_slots for one in log), default=0),
    }


def _transfer_metrics(log: DecisionLog) -> dict[str, Value]:
    return {
        "transferred_tokens": sum(record.arrived_tokens for record in log),
        "transfer_wait_steps": sum(record.transferring for record in log),
        "prealloc_wait_steps": sum(record.bootstrapping + record.preallocating for record in log),
        "transfer_tokens_max": max((record.transfer_tokens for record in log), default=0),
        "failed_transfers": sum(len(record.failed_transfer_rids) for record in log),
    }


def _draft_metrics(log: DecisionLog) -> dict[str, Value]:
    verified = [record for record in log if record.emitted_tokens]
    requests = sum(len(record.rids) for record in verified)
    accepted = sum(sum(record.emitted_tokens) for record in verified) - requests
    drafted = sum(sum(record.tokens) for record in verified) - requests
    return {
        "draft_tokens": drafted,
        "accepted_draft_tokens": accepted,
        "rejected_draft_tokens": drafted - accepted,
        "tokens_per_verification": (accepted + requests) / requests if requests else None,
        "draft_kv_taken_tokens": sum(record.draft_kv_taken_tokens for record in log),
        "draft_kv_returned_tokens": sum(record.draft_kv_returned_tokens for record in log),
        "draft_reserved_tokens_max": max((record.draft_reserved_tokens for record in log), default=0),
    }


def _cache_metrics(replay: _Replay) -> dict[str, Value]:
    computed = replay.prefill_tokens
    return {
        "prefill_tokens": computed,
        "recomputed_tokens": replay.recomputed_tokens,
        "recompute_tax": replay.recomputed_tokens / computed if computed else None,
        "cache_hit_tokens": replay.cache_hit_tokens,
    }


def _chunk_metrics(replay: _Replay) -> dict[str, Value]:
    return {
        "chunked_requests": len(replay.chunked_rids),
        "chunks": len(replay.chunk_tokens),
        "chunk_tokens_mean": _mean(replay.chunk_tokens),
        "parked_steps": replay.parked_steps,
    }


def _output_metrics(replay: _Replay, facts: RunFacts) -> dict[str, Value]:
    wasted = sum(max(0, replay.outputs[rid] - wanted) for rid, wanted in facts.wanted_outputs.items())
    return {
        "output_tokens": _useful_outputs(replay, facts),
        "wasted_decode_tokens": wasted,
        "unfinished_requests": sum(
            replay.outputs[rid] < wanted for rid, wanted in facts.wanted_outputs.items()
        ),
        "shortened_requests": len(facts.shortened_outputs),
    }


def _useful_outputs(replay: _Replay, facts: RunFacts) -> int:
    return sum(min(replay.outputs[rid], wanted) for rid, wanted in facts.wanted_outputs.items())


def _modelled_metrics(log: DecisionLog, replay: _Replay, facts: RunFacts) -> dict[str, Value]:
    total_ns = sum(record.forward_ns for record in log)
    return {
        "modelled_seconds": total_ns / 1e9,
        "chunked_prefill_tokens_per_second": _rate(replay.chunk_step_tokens, replay.chunk_step_ns),
        "output_tokens_per_second": _rate(_useful_outputs(replay, facts), total_ns),
    }


def _latency_metrics(log: DecisionLog, facts: RunFacts) -> dict[str, Value]:
    times = request_times(log, arrival_ns=facts.arrival_ns, wanted_outputs=facts.wanted_outputs)
    duration_ns = log.steps[-1].end_ns if log.steps else 0
    # Without arrival times, as of a killed worker, no request is known to be late or in time.
    requests = len(facts.wanted_outputs) if facts.arrival_ns else 0
    return latency_metrics(times, duration_ns=duration_ns, requests=requests, limits=facts.goodput)


def _rate(count: int, duration_ns: int) -> float | None:
    return count / (duration_ns / 1e9) if duration_ns else None


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
