"""What the harness reads of an engine, as frozen records."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from exhausters.workloads.transfer import Transfer

# Forward modes of a step. `idle` steps run no forward.
PREFILL, DECODE, MIXED, IDLE = "prefill", "decode", "mixed", "idle"
MODES = (PREFILL, DECODE, MIXED, IDLE)

# Phases of a step that are methods of an engine, and the one operation that is timed but is no phase.
FORM_BATCH, RUN, PROCESS_RESULT, EVICT, RETRACT = "form_batch", "run", "process_result", "evict", "retract"
MATCH = "match"

NO_PARENT = -1

# What SGLang's `SamplingParams` take where nothing is said.
DEFAULT_MAX_NEW_TOKENS = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A request on its way to an engine.

    Attributes:
        rid: its id.
        input_ids: its prompt.
        sampling: keywords of SGLang's `SamplingParams`.
        return_logprob, logprob_start_len, top_logprobs_num: what is asked for beside the tokens; None for the
            engine's own default.
        priority: its priority, where the engine orders by it.
        dp_rank: the rank it is meant for.
        grammar_steps: steps in which its grammar is compiled; None for no grammar.
        session_id: the session of which it is a turn; `input_ids` is then what comes behind what that has.
        session_rid: the turn before it.
        lora_path: the adapter that it names; without adapters it only keeps prefixes of other paths apart.
        transfer: how its KV travels; None for at once, or for an engine that transfers nothing.
    """

    rid: str
    input_ids: array[int]
    sampling: Mapping[str, Any]
    return_logprob: bool = False
    logprob_start_len: int | None = None
    top_logprobs_num: int | None = None
    priority: int | None = None
    dp_rank: int | None = None
    lora_path: str | None = None
    grammar_steps: int | None = None
    session_id: str | None = None
    session_rid: str | None = None
    transfer: Transfer | None = None

    @property
    def max_new_tokens(self) -> int:
        """Tokens it may emit: what `sampling` says, else SGLang's default."""
        asked = self.sampling.get("max_new_tokens")
        return DEFAULT_MAX_NEW_TOKENS if asked is None else int(asked)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchView:
    """A forward batch that is about to run.

    Attributes:
        mode: one of `MODES`; `idle` for a batch that computes no token of a request.
        rids: its requests, in batch order.
        tokens: tokens computed for each of them (1 for a decoding one; with drafts, all that it verifies).
        prefix_tokens: tokens of each that are in the KV pool already; empty for a decode batch.
        decoding_requests: requests at the end of a mixed batch that decode one token.
        chunked_rid: the request that is being prefilled in chunks, if any; it need not be in the batch.
        adapters: different adapters that its requests name, the base model being one; 0 without adapters.
    """

    mode: str
    rids: tuple[str, ...] = ()
    tokens: tuple[int, ...] = ()
    prefix_tokens: tuple[int, ...] = ()
    decoding_requests: int = 0
    chunked_rid: str | None = None
    adapters: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LastBatch:
    """The batch that ran last, as far as its requests have not been moved on.

    Attributes:
        rids: its requests; empty when all of them were moved to another batch.
        mode: one of `MODES`.
        engine_mode: the engine's own name of the mode, e.g. `EXTEND`; None when it has none yet.
    """

    rids: tuple[str, ...]
    mode: str
    engine_mode: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSnapshot:
    """How full the pools are at one moment; tokens of KV pools, rows of the request table.

    Attributes:
        free_tokens: free in the allocator.
        evictable_tokens: cached in unlocked nodes.
        protected_tokens: cached in locked nodes.
        in_use_tokens: owned by requests, whole pages, without what the tree owns.
        free_rows, rows_in_use: request rows that are free and that requests own.
        window_free_tokens, window_evictable_tokens, window_protected_tokens, window_in_use_tokens: the same
            of the sliding-window pool of a hybrid model; 0 for a dense one.
        host_free_tokens, host_cached_tokens: of the cache's pool in host memory, free and kept by nodes of
            the tree; 0 without one.
        mamba_free_slots, mamba_evictable_slots, mamba_protected_slots, mamba_in_use_slots: slots of recurrent
            states that are free, that unlocked and locked cached states have, and that requests have; 0
            without such layers.
        session_tokens, session_rows: what sessions keep while no turn of theirs runs, whole pages, without
            what the tree owns.
        empty_adapter_slots, resident_adapters: slots of adapters with nothing in them, and adapters in the
            others that the harness did not put there; 0 without adapters.
        free_prealloc_slots, prealloc_slots_in_use: slots for transfers that are free, and that requests own;
            0 for an engine that is no part of a disaggregated pair.
    """

    free_tokens: int
    evictable_tokens: int
    protected_tokens: int
    in_use_tokens: int
    free_rows: int
    rows_in_use: int
    window_free_tokens: int = 0
    window_evictable_tokens: int = 0
    window_protected_tokens: int = 0
    window_in_use_tokens: int = 0
    host_free_tokens: int = 0
    host_cached_tokens: int = 0
    mamba_free_slots: int = 0
    mamba_evictable_slots: int = 0
    mamba_protected_slots: int = 0
    mamba_in_use_slots: int = 0
    session_tokens: int = 0
    session_rows: int = 0
    empty_adapter_slots: int = 0
    resident_adapters: int = 0
    free_prealloc_slots: int = 0
    prealloc_slots_in_use: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What the requests of an engine may still take of its pools, never less than the engine reckons.

    Attributes:
        waiting_rid: the waiting request that needs most; empty when none waits.
        waiting_tokens: KV tokens that it may take until its end: prompt in whole pages, all outputs,
            and a page. What is cached of its prompt is counted in full.
        waiting_window_tokens: tokens that a waiting request may take of the window's pool; 0 without one.
        reserved_window_tokens: the same of the window's pool for the running requests; 0 without one.
        reserved_tokens: KV tokens that an engine may have reserved for the running requests: all outputs that
            each has asked for, emitted ones included, and a page.
        running: requests of the running batch.
        running_limit: requests that may run at once.
    """

    waiting_rid: str
    waiting_tokens: int
    waiting_window_tokens: int
    reserved_window_tokens: int
    reserved_tokens: int
    running: int
    running_limit: int


# What is wrong with a page of a request's page table.
FREE_PAGE, PADDING_PAGE, WRITTEN_BY_TWO = "free", "padding", "written by two"


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotFault:
    """A page in the table of a living request that must not be there.

    Attributes:
        kind: FREE_PAGE: the allocator can give it to somebody else; PADDING_PAGE: nothing may be kept in it;
            WRITTEN_BY_TWO: the request writes it, and it is in the table of another as well.
        rid: the request.
        position: of its tokens, the first that is in the page.
        page: number of the page.
        other_rid: the other request; empty for other kinds.
    """

    kind: str
    rid: str
    position: int
    page: int
    other_rid: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeView:
    """One node of the prefix tree other than the root, as it was when the tree was walked.

    Attributes:
        node_id: the number the engine gave the node.
        handle: what the tree's lock calls take; opaque.
        parent: position of the parent in the walk; NO_PARENT below the root.
        token_count: length of the node's key, in tokens.
        lock_refs: locks on the node, summed over the cache's components. A core that only reports whether a
            node is locked gives 1 for "at least one".
        hit_count: times a request matched the node; None where the core does not tell.
        pinnable: False when the cache would fail halfway through locking the node.
    """

    node_id: int
    handle: Any
    parent: int
    token_count: int
    lock_refs: int
    hit_count: int | None = None
    pinnable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodPoint:
    """A method of the engine, or of an exhauster, that may be wrapped while a run is measured.

    Attributes:
        owner: the object or class that has it.
        name: the method's name.
        phase: what it does: `form_batch`, `run`, `process_result`, `evict`, `retract`, `match` or `take`.
    """

    owner: Any
    name: str
    phase: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFolders:
    """Where the engine's source is.

    Attributes:
        root: absolute folder that the paths of its files are relative to.
        watched: absolute folder below it that holds the code whose executed lines are recorded.
    """

    root: str
    watched: str


# Facts of pools that most engines do not have: left out where they do not apply.
_WHERE_THERE_IS_ONE = (
    "window_pool_unchecked",
    "host_total_tokens",
    "mamba_total_slots",
    "mamba_slots_unchecked",
    "adapter_slots",
    "role",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BootFacts:
    """What an engine reports about itself once it is up.

    Attributes:
        pid: process id of the worker.
        sglang_version, python_version, torch_version: versions; `fake` or `none` where there is none.
        tree_cache, tree_core, allocator: class names; `none` for a tree cache without a core of its own.
        page_size: tokens per KV page.
        max_total_tokens: KV tokens in all.
        max_running_requests: request rows.
        overlap: whether a step's result is processed one step later.
        policy: the scheduling policy, by the engine's name.
        window_pool_unchecked: why the window pool of a hybrid model is counted in no step; empty if it is
            counted.
        host_total_tokens: tokens of the cache's pool in host memory; 0 without one.
        mamba_total_slots: slots of recurrent states; 0 without such layers.
        mamba_slots_unchecked: why those slots are counted in no step; empty if they are counted, or not
            there.
        adapter_slots: slots of adapters; 0 without adapters.
        role: `prefill` or `decode` for an engine of a disaggregated pair; else empty.
    """

    pid: int
    sglang_version: str
    python_version: str
    torch_version: str
    tree_cache: str
    tree_core: str
    allocator: str
    page_size: int
    max_total_tokens: int
    max_running_requests: int
    overlap: bool
    policy: str
    window_pool_unchecked: str = ""
    host_total_tokens: int = 0
    mamba_total_slots: int = 0
    mamba_slots_unchecked: str = ""
    adapter_slots: int = 0
    role: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the facts by name, as records have them; without those that do not apply."""
        shown = asdict(self)
        for name in _WHERE_THERE_IS_ONE:
            if not shown[name]:
                del shown[name]
        return shown


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedSources:
    """Which of the target's own files a worker has imported, and what it did not find among them.

    Paths and dotted names are relative to the target's source folder.

    Attributes:
        files: SHA-256 of each imported file, in hexadecimal, by path.
        absent: names that were looked up and found nowhere, such as an optional import.
        elsewhere: names that were imported without a file of the target's: from the environment, or a folder.
        listed: names in each folder that was searched for modules, by path.
    """

    files: Mapping[str, str]
    absent: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()
    listed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
