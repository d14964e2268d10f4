"""The registry of metrics: the only place where a metric is described."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from exhausters.observe.phases import PHASES
from exhausters.observe.smallest_effects import SmallestEffect, role_of, smallest_effect_of

# Kinds, and how two builds are compared in each (see docs/metrics.md).
DECISION, WORK, MODELLED, HOST = "decision", "work", "modelled_time", "host_time"
KINDS = (DECISION, WORK, MODELLED, HOST)
# Directions. `none`, for every mechanism: a change explains something, and neither way is better by itself.
LOWER, HIGHER, NONE = "lower", "higher", "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One thing that is measured.

    Attributes:
        name: unique name, with the unit where the unit is not a count.
        unit: unit of the value.
        kind: one of `KINDS`.
        better: `lower`, `higher` or `none`.
        smallest_effect: of host time, the relative change that its tests look for; 0 for exact kinds.
        meaning: one sentence.
    """

    name: str
    unit: str
    kind: str
    better: str
    smallest_effect: float
    meaning: str

    @property
    def role(self) -> str:
        """What it is to a reader: one of `ROLES`."""
        return role_of(self.name)

    @property
    def materiality(self) -> SmallestEffect | None:
        """The smallest difference that matters; None for a mechanism, which is not judged."""
        return smallest_effect_of(self.name)


def _metric(name: str, unit: str, kind: str, better: str, meaning: str, *, effect: float = 0.0) -> Metric:
    return Metric(name=name, unit=unit, kind=kind, better=better, smallest_effect=effect, meaning=meaning)


_ALL = (
    _metric("steps_to_drain", "steps", DECISION, NONE, "Steps until the last request finished."),
    _metric("prefill_steps", "steps", DECISION, NONE, "Steps that ran a prefill batch."),
    _metric("decode_steps", "steps", DECISION, NONE, "Steps that ran a decode batch."),
    _metric("mixed_steps", "steps", DECISION, NONE, "Steps that ran a batch of prefill and decode."),
    _metric("idle_steps", "steps", DECISION, NONE, "Steps without a forward."),
    _metric(
        "requests_per_prefill_batch",
        "requests",
        DECISION,
        NONE,
        "Mean prompts of a prefill or mixed batch.",
    ),
    _metric(
        "tokens_per_prefill_batch",
        "tokens",
        DECISION,
        NONE,
        "Mean prompt tokens of a prefill or mixed batch.",
    ),
    _metric(
        "prefill_fill",
        "ratio",
        DECISION,
        NONE,
        "Mean prompt tokens of a prefill batch over the chunk budget.",
    ),
    _metric("running_batch_size_mean", "requests", DECISION, NONE, "Mean requests of a decode batch."),
    _metric("running_batch_size_max", "requests", DECISION, NONE, "Most requests of a decode batch."),
    _metric("wait_steps_p50", "steps", DECISION, NONE, "Median steps from submission to the first prefill."),
    _metric(
        "wait_steps_p99",
        "steps",
        DECISION,
        NONE,
        "99th percentile of steps from submission to the first prefill.",
    ),
    _metric("wait_steps_max", "steps", DECISION, NONE, "Most steps from submission to the first prefill."),
    _metric("eviction_calls", "calls", DECISION, NONE, "Calls of the tree cache's eviction."),
    _metric("evict_asked_tokens", "tokens", DECISION, NONE, "KV tokens that evictions were asked for."),
    _metric("evicted_tokens", "tokens", DECISION, NONE, "KV tokens that evictions freed."),
    _metric("window_evicted_tokens", "tokens", DECISION, NONE, "Sliding-window tokens that evictions freed."),
    _metric(
        "window_cached_tokens_max", "tokens", DECISION, NONE, "Most sliding-window tokens that the tree kept."
    ),
    _metric(
        "window_free_tokens_min",
        "tokens",
        DECISION,
        NONE,
        "Fewest sliding-window tokens that were free after a step; 0 without such layers.",
    ),
    _metric("mamba_evicted_slots", "slots", DECISION, NONE, "Slots of cached states that evictions freed."),
    _metric("mamba_cached_slots_max", "slots", DECISION, NONE, "Most slots whose states the tree kept."),
    _metric("mamba_in_use_slots_max", "slots", DECISION, NONE, "Most slots of states that requests owned."),
    _metric(
        "mamba_free_slots_min",
        "slots",
        DECISION,
        NONE,
        "Fewest slots of states that were free after a step; 0 without linear-attention layers.",
    ),
    _metric("retractions", "requests", DECISION, LOWER, "Running requests that were put back to the queue."),
    _metric(
        "retraction_dropped_tokens",
        "tokens",
        DECISION,
        NONE,
        "Tokens of the overlap loop that were dropped because their request was retracted meanwhile.",
    ),
    _metric(
        "memory_aborts", "requests", DECISION, LOWER, "Requests given up because retracting was not enough."
    ),
    _metric(
        "retracted_tokens",
        "tokens",
        DECISION,
        NONE,
        "KV tokens of their own that retracted requests threw away.",
    ),
    _metric(
        "preemptions",
        "requests",
        DECISION,
        NONE,
        "Running requests that were put back to the queue for one of higher priority.",
    ),
    _metric(
        "preempted_tokens",
        "tokens",
        DECISION,
        NONE,
        "KV tokens of their own that preempted requests threw away.",
    ),
    _metric(
        "prefill_tokens",
        "tokens",
        DECISION,
        NONE,
        "Tokens computed by prefill, again or for the first time.",
    ),
    _metric(
        "recomputed_tokens",
        "tokens",
        DECISION,
        NONE,
        "Prefill tokens that somebody had computed before, in whole pages.",
    ),
    _metric(
        "recompute_tax",
        "ratio",
        DECISION,
        LOWER,
        "Recomputed prefill tokens over all computed prefill tokens.",
    ),
    _metric(
        "cache_hit_tokens", "tokens", DECISION, NONE, "Prompt tokens found in the tree at first prefill."
    ),
    _metric(
        "backed_up_tokens",
        "tokens",
        DECISION,
        NONE,
        "KV tokens that were copied to the cache in host memory.",
    ),
    _metric("loaded_back_tokens", "tokens", DECISION, NONE, "KV tokens that were copied back from the host."),
    _metric("host_evicted_tokens", "tokens", DECISION, NONE, "Host tokens that the cache freed."),
    _metric(
        "host_cached_tokens_max", "tokens", DECISION, NONE, "Most tokens that the cache kept in host memory."
    ),
    _metric(
        "adapter_loads",
        "loads",
        DECISION,
        NONE,
        "Adapters that were put into a slot, the base model being one.",
    ),
    _metric(
        "adapters_per_batch_mean",
        "adapters",
        DECISION,
        NONE,
        "Mean of different adapters in a batch, the base model being one.",
    ),
    _metric(
        "adapters_per_batch_max",
        "adapters",
        DECISION,
        NONE,
        "Most different adapters in a batch, the base model being one.",
    ),
    _metric(
        "compiling_steps",
        "steps",
        DECISION,
        NONE,
        "Steps after which a request waited for its grammar, outside of the queue.",
    ),
    _metric(
        "compiling_requests_max",
        "requests",
        DECISION,
        NONE,
        "Most requests that waited for a grammar at once.",
    ),
    _metric(
        "session_tokens_max",
        "tokens",
        DECISION,
        NONE,
        "Most KV tokens that sessions kept while no turn of theirs ran.",
    ),
    _metric(
        "session_rows_max",
        "rows",
        DECISION,
        NONE,
        "Most request rows that sessions kept while no turn of theirs ran.",
    ),
    _metric(
        "transferred_tokens",
        "tokens",
        DECISION,
        NONE,
        "KV tokens whose transfer between the engines of a disaggregated pair has ended.",
    ),
    _metric(
        "transfer_wait_steps",
        "steps",
        DECISION,
        NONE,
        "Steps that requests were in transfer, added up over all requests.",
    ),
    _metric(
        "prealloc_wait_steps",
        "steps",
        DECISION,
        NONE,
        "Steps that requests waited for the other engine, a slot or reserved pages, over all requests.",
    ),
    _metric(
        "transfer_tokens_max",
        "tokens",
        DECISION,
        NONE,
        "Most KV tokens that requests in transfer held of their own.",
    ),
    _metric(
        "failed_transfers",
        "requests",
        DECISION,
        LOWER,
        "Requests that were lost because their transfer failed.",
    ),
    _metric("draft_tokens", "tokens", DECISION, NONE, "Draft tokens that decodes verified."),
    _metric("accepted_draft_tokens", "tokens", DECISION, NONE, "Draft tokens that were right, and emitted."),
    _metric("rejected_draft_tokens", "tokens", DECISION, NONE, "Draft tokens that were not."),
    _metric(
        "tokens_per_verification",
        "tokens",
        DECISION,
        NONE,
        "Mean tokens that a request emits in a decode that verifies drafts.",
    ),
    _metric(
        "draft_kv_taken_tokens", "tokens", DECISION, NONE, "KV tokens allocated for decodes with drafts."
    ),
    _metric(
        "draft_kv_returned_tokens",
        "tokens",
        DECISION,
        NONE,
        "KV tokens of those that requests gave back without having an output in them.",
    ),
    _metric(
        "draft_reserved_tokens_max",
        "tokens",
        DECISION,
        NONE,
        "Most KV tokens that requests held beyond those of outputs that the engine had seen.",
    ),
    _metric("chunked_requests", "requests", DECISION, NONE, "Requests whose prompt was prefilled in chunks."),
    _metric("chunks", "chunks", DECISION, NONE, "Prefill chunks, over all requests that were chunked."),
    _metric("chunk_tokens_mean", "tokens", DECISION, NONE, "Mean prompt tokens of a chunk."),
    _metric("parked_steps", "steps", DECISION, NONE, "Forwards that left the chunked request out."),
    _metric("output_tokens", "tokens", DECISION, NONE, "Tokens emitted."),
    _metric(
        "wasted_decode_tokens",
        "tokens",
        DECISION,
        NONE,
        "Tokens decoded past the end of a request, before the loop noticed that it had ended.",
    ),
    _metric(
        "unfinished_requests", "requests", DECISION, LOWER, "Requests that had not emitted all their tokens."
    ),
    _metric(
        "shortened_requests",
        "requests",
        DECISION,
        LOWER,
        "Requests that the scheduler let emit fewer tokens than they asked for.",
    ),
    _metric(
        "modelled_seconds",
        "s",
        MODELLED,
        NONE,
        "Modelled time of all steps; gaps without a request are not in it.",
    ),
    _metric(
        "load_back_wait_seconds",
        "s",
        MODELLED,
        NONE,
        "Modelled time by which load-backs from the host made steps longer.",
    ),
    _metric(
        "backup_wait_seconds",
        "s",
        MODELLED,
        NONE,
        "Modelled time that evictions waited for copies to the host.",
    ),
    _metric(
        "chunked_prefill_tokens_per_second",
        "tokens/s",
        MODELLED,
        NONE,
        "Prompt tokens that the steps with a chunk computed for the first time, over their modelled time.",
    ),
    _metric(
        "output_tokens_per_second",
        "tokens/s",
        MODELLED,
        HIGHER,
        "Tokens emitted, over the modelled time of all steps.",
    ),
    _metric(
        "time_to_first_token_p50_seconds", "s", MODELLED, LOWER, "Median time from arrival to first token."
    ),
    _metric(
        "time_to_first_token_p99_seconds",
        "s",
        MODELLED,
        LOWER,
        "99th percentile of the time from arrival to first token.",
    ),
    _metric(
        "time_per_output_token_p50_seconds",
        "s",
        MODELLED,
        LOWER,
        "Median of a request's mean time between tokens.",
    ),
    _metric(
        "time_per_output_token_p99_seconds",
        "s",
        MODELLED,
        LOWER,
        "99th percentile of a request's mean time between tokens.",
    ),
    _metric("end_to_end_p50_seconds", "s", MODELLED, LOWER, "Median time from arrival to last token."),
    _metric(
        "end_to_end_p99_seconds",
        "s",
        MODELLED,
        LOWER,
        "99th percentile of the time from arrival to last token.",
    ),
    _metric(
        "goodput_share",
        "ratio",
        MODELLED,
        HIGHER,
        "Requests that finished and kept both latency limits, over all requests of the workload.",
    ),
    _metric(
        "goodput_requests_per_second",
        "requests/s",
        MODELLED,
        HIGHER,
        "Requests that kept both latency limits, over the time to the last step, gaps included.",
    ),
    _metric(
        "scheduler_cpu_seconds",
        "s",
        HOST,
        NONE,
        "CPU time of the scheduler's thread, all steps.",
        effect=0.05,
    ),
    _metric(
        "scheduler_cpu_ms_per_step",
        "ms",
        HOST,
        LOWER,
        "CPU time of the scheduler's thread per step.",
        effect=0.05,
    ),
    *(
        _metric(
            f"scheduler_cpu_ms_per_step_{phase}",
            "ms",
            HOST,
            NONE,
            f"The same, in the phase {phase} only.",
            effect=0.10,
        )
        for phase in PHASES
    ),
    _metric(
        "prefill_tokens_per_cpu_second",
        "tokens/s",
        HOST,
        NONE,
        "Prefill tokens over the CPU time of the scheduler's thread.",
        effect=0.05,
    ),
)

# What is counted, with what it means; each exists for a whole step and for each phase of it.
_COUNTS = {
    "python_calls": "Calls of Python functions",
    "c_calls": "Calls of C functions from Python",
    "aten_operators": "Tensor operators",
    "host_synchronisations": "Operators and methods that would make a GPU program wait for a value",
    "tensor_allocations": "Tensors that operators made",
}
# The totals are judged. A step more or less changes every count a step without any change of work, so
# those only tell where the work is.
_WORK = (
    *(
        _metric(name, "1", WORK, LOWER, f"{meaning}, over the whole run.")
        for name, meaning in _COUNTS.items()
    ),
    *(
        _metric(f"{name}_per_step{suffix}", "1/step", WORK, NONE, f"{meaning} per step{where}.")
        for name, meaning in _COUNTS.items()
        for suffix, where in (("", ""), *((f"_{phase}", f", in the phase {phase}") for phase in PHASES))
    ),
)

METRICS: Mapping[str, Metric] = MappingProxyType({metric.name: metric for metric in (*_ALL, *_WORK)})
