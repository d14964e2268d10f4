"""What the scheduler decided in one step."""

from __future__ import annotations

from dataclasses import dataclass

from exhausters.engine.api import DECODE, IDLE, MIXED, MODES, PREFILL

__all__ = ["DECODE", "IDLE", "MIXED", "MODES", "PREFILL", "StepRecord"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRecord:
    """One iteration of the scheduler's event loop.

    Attributes:
        step: number of the step since the measured part of the run began, from 0.
        mode: one of `MODES`.
        rids: requests of the forward batch, in batch order; empty for an idle step.
        tokens: tokens computed for each of them (1 for a decoding one; with drafts, all that it verifies).
        decoding_requests: requests at the end of a mixed batch that decode one token.
        prefix_tokens: tokens of each that were already in the KV pool; empty for decode steps.
        chunked_rid: the request that is being prefilled in chunks, if any.
        retracted_rids: requests that were retracted while this step's batch was formed.
        retracted_tokens: KV tokens of their own that those retractions threw away; what the tree owns stays.
        dropped_rids: those of them, and of the preempted ones, whose token of the step before was dropped
            (overlap loop only).
        memory_aborts: requests that were given up because retracting was not enough.
        evict_calls, evict_asked_tokens, evict_given_tokens: calls of the tree cache's eviction, the tokens
            they were asked for and the tokens they freed.
        free_tokens, evictable_tokens, protected_tokens, held_tokens: KV tokens after the step: free in the
            allocator, cached and evictable, cached and locked, and withheld by an exhauster.
        free_rows, held_rows: request rows after the step: free, and withheld by an exhauster.
        waiting: requests in the waiting queue after the step.
        in_use_tokens: KV tokens that requests own after the step, whole pages.
        window_free_tokens, window_evictable_tokens, window_protected_tokens: the same of the sliding-window
            pool; 0 for a dense model.
        window_evicted_tokens: sliding-window tokens that evictions freed.
        forward_ns: modelled duration of the step, in nanoseconds, with what it waited for copies.
        end_ns: modelled time at its end, since the measured part of the run began.
        host_free_tokens, host_cached_tokens, host_held_tokens: tokens of the cache's pool in host memory
            after the step: free, kept by nodes of the tree, and withheld by an exhauster; 0 without one.
        backed_up_tokens, loaded_back_tokens, host_evicted_tokens: tokens that were copied to the host, tokens
            that were copied back, and host tokens that the cache freed.
        load_back_wait_ns, backup_wait_ns: modelled time by which load-backs, and backups that an eviction
            waits for, made the step longer.
        window_held_tokens: sliding-window tokens that `leave_window_tokens` withholds, without those that
            `leave_pages` withholds on both sides.
        mamba_free_slots, mamba_evictable_slots, mamba_protected_slots, mamba_held_slots, mamba_in_use_slots:
            slots of recurrent states after the step: free, of cached states that are unlocked and locked,
            withheld by an exhauster, and of requests; 0 without linear-attention layers.
        mamba_evicted_slots: slots of cached states that evictions freed.
        batch_adapters: different adapters in the batch, the base model being one; 0 without adapters.
        adapter_loads: adapters that were put into a slot, the base model being one.
        held_lora_slots: slots of adapters that an exhauster keeps after the step.
        session_tokens, session_rows: KV tokens, whole pages, and request rows that sessions keep after the
            step while no turn of theirs runs.
        preempted_rids: requests that were put back to the queue for one of higher priority while this step's
            batch was formed.
        preempted_tokens: KV tokens of their own that they threw away.
        compiling: requests that wait for their grammar after the step, outside of the queue.
        role: of an engine of a disaggregated pair, `prefill` or `decode`; else empty, and what follows is 0.
        bootstrapping, preallocating, transferring: requests after the step that wait for the other engine to
            answer, for pages to be reserved, and for the end of their transfer.
        transfer_tokens: KV tokens of their own that those in transfer hold, whole pages.
        free_prealloc_slots, held_prealloc_slots: slots for transfers after the step: free, and withheld by an
            exhauster.
        arrived_rids: requests whose first output token counts from this step on: their transfer has ended.
        arrived_tokens: KV tokens whose transfer ended in the step.
        failed_transfer_rids: requests that were lost because their transfer failed.
        emitted_tokens: of a decode that verified drafts, the tokens that each of its requests emits: those
            of its drafts that were right, and one more; empty otherwise.
        draft_kv_taken_tokens, draft_kv_returned_tokens: KV tokens that were allocated for decodes with
            drafts, and those that requests, finished or retracted, gave back without an output in them.
        draft_reserved_tokens: KV tokens that requests hold after the step beyond those of outputs that the
            engine has seen; 0 without drafts.
    """

    step: int
    mode: str
    rids: tuple[str, ...] = ()
    tokens: tuple[int, ...] = ()
    decoding_requests: int = 0
    prefix_tokens: tuple[int, ...] = ()
    chunked_rid: str | None = None
    retracted_rids: tuple[str, ...] = ()
    retracted_tokens: int = 0
    dropped_rids: tuple[str, ...] = ()
    memory_aborts: int = 0
    evict_calls: int = 0
    evict_asked_tokens: int = 0
    evict_given_tokens: int = 0
    free_tokens: int = 0
    evictable_tokens: int = 0
    protected_tokens: int = 0
    held_tokens: int = 0
    free_rows: int = 0
    held_rows: int = 0
    waiting: int = 0
    in_use_tokens: int = 0
    window_free_tokens: int = 0
    window_evictable_tokens: int = 0
    window_protected_tokens: int = 0
    window_evicted_tokens: int = 0
    forward_ns: int = 0
    end_ns: int = 0
    host_free_tokens: int = 0
    host_cached_tokens: int = 0
    host_held_tokens: int = 0
    backed_up_tokens: int = 0
    loaded_back_tokens: int = 0
    host_evicted_tokens: int = 0
    load_back_wait_ns: int = 0
    backup_wait_ns: int = 0
    window_held_tokens: int = 0
    mamba_free_slots: int = 0
    mamba_evictable_slots: int = 0
    mamba_protected_slots: int = 0
    mamba_held_slots: int = 0
    mamba_in_use_slots: int = 0
    mamba_evicted_slots: int = 0
    batch_adapters: int = 0
    adapter_loads: int = 0
    held_lora_slots: int = 0
    compiling: int = 0
    preempted_rids: tuple[str, ...] = ()
    preempted_tokens: int = 0
    session_tokens: int = 0
    session_rows: int = 0
    role: str = ""
    bootstrapping: int = 0
    preallocating: int = 0
    transferring: int = 0
    transfer_tokens: int = 0
    free_prealloc_slots: int = 0
    held_prealloc_slots: int = 0
    arrived_rids: tuple[str, ...] = ()
    arrived_tokens: int = 0
    failed_transfer_rids: tuple[str, ...] = ()
    emitted_tokens: tuple[int, ...] = ()
    draft_kv_taken_tokens: int = 0
    draft_kv_returned_tokens: int = 0
    draft_reserved_tokens: int = 0
