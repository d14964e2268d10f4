"""States that a campaign must reach, counted: fuzz that never sees one of them says nothing about it.

A state asks for features; where the engine or the script leaves one out, it cannot be reached, and nothing is
asked of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from exhausters.engine.api import IDLE, MIXED, PREFILL, Engine
from exhausters.fuzz.features import (
    ABORTS,
    ADAPTERS,
    CHUNK,
    DRAFTS,
    FORCED_RETRACTION,
    GRAMMARS,
    HOST_TIER,
    LONG_OUTPUTS,
    LONG_PROMPTS,
    MIXED_CHUNK,
    OVERLAP,
    PAUSES,
    PREEMPTION,
    PRESSURE,
    RADIX_CACHE,
    SESSIONS,
    SHARING,
    STATES_POOL,
    STREAMING,
    WINDOW,
)
from exhausters.observe.step_record import StepRecord
from exhausters.scripted.judged_run import COMPILING, JudgedRun


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """A state that is to be reached sometimes.

    Attributes:
        name: of the state.
        needs: features without which it is not asked for.
    """

    name: str
    needs: frozenset[str]


def _state(name: str, *needs: str) -> State:
    return State(name=name, needs=frozenset(needs))


PARKED = _state("a chunk is parked", WINDOW, CHUNK, PRESSURE, LONG_PROMPTS)
RETRACTED_CHUNKED = _state("retracted while a request is chunked", CHUNK, LONG_PROMPTS, LONG_OUTPUTS)
EVICTED_LOCKED = _state("evicted beside a locked path", RADIX_CACHE, SHARING)
MARKED_FULL = _state("marked as full while requests wait")
ABORTED_WAITING = _state("aborted while waiting", ABORTS)
ABORTED_CHUNKED = _state("aborted while chunked", ABORTS, CHUNK, LONG_PROMPTS)
ABORTED_RUNNING = _state("aborted while running", ABORTS)
ABORTED_RETRACTED = _state("aborted while retracted", ABORTS, LONG_OUTPUTS)
RETRACTED_FINISHED = _state("retracted, then finished", LONG_OUTPUTS)
# Pressure alone does it too, once in thousands of scripts.
RETRACTED_TWICE = _state("retracted twice", FORCED_RETRACTION, LONG_OUTPUTS)
TOKEN_DROPPED = _state("a token dropped by a retraction", OVERLAP, LONG_OUTPUTS)
HIT = _state("a prefix is hit", RADIX_CACHE, SHARING)
HIT_AFTER_EVICTION = _state("hit what an eviction left of a prompt", RADIX_CACHE, SHARING)
ROWS_OUT_QUEUE_EMPTY = _state("no row free, nobody waits")
ROWS_OUT_QUEUED = _state("no row free, somebody waits")
PAGES_OUT = _state("no page free or evictable, requests run", PRESSURE)
MIXED_RAN = _state("a mixed batch runs", MIXED_CHUNK)
PREEMPTED = _state("preempted", PREEMPTION)
PAUSED_RUNNING = _state("paused while requests run", PAUSES)
PAUSED_CHUNKED = _state("paused while a request is chunked", PAUSES, CHUNK, LONG_PROMPTS)
WINDOW_EVICTED = _state("evicted from the window pool", WINDOW, RADIX_CACHE)
GIVEN_UP = _state("given up for want of pages", PRESSURE, LONG_OUTPUTS)
BACKED_UP = _state("copied to the host", HOST_TIER)
LOADED_BACK = _state("copied back from the host", HOST_TIER, SHARING)
STATE_EVICTED = _state("a recurrent state is evicted", STATES_POOL, RADIX_CACHE)
DRAFT_KEPT = _state("a draft was right", DRAFTS)
DRAFT_REJECTED = _state("a draft was wrong", DRAFTS)
DRAFT_RETRACTED = _state("retracted with what drafts had reserved", DRAFTS, LONG_OUTPUTS)
ADAPTERS_MIXED = _state("a batch has several adapters", ADAPTERS)
ABORTED_COMPILING = _state("aborted while its grammar is compiled", ABORTS, GRAMMARS)
SESSION_KEEPS = _state("an idle session keeps its row", STREAMING, SESSIONS)

STATES: tuple[State, ...] = (
    PARKED,
    RETRACTED_CHUNKED,
    EVICTED_LOCKED,
    MARKED_FULL,
    ABORTED_WAITING,
    ABORTED_CHUNKED,
    ABORTED_RUNNING,
    ABORTED_RETRACTED,
    RETRACTED_FINISHED,
    RETRACTED_TWICE,
    TOKEN_DROPPED,
    HIT,
    HIT_AFTER_EVICTION,
    ROWS_OUT_QUEUE_EMPTY,
    ROWS_OUT_QUEUED,
    PAGES_OUT,
    MIXED_RAN,
    PREEMPTED,
    PAUSED_RUNNING,
    PAUSED_CHUNKED,
    WINDOW_EVICTED,
    GIVEN_UP,
    BACKED_UP,
    LOADED_BACK,
    STATE_EVICTED,
    DRAFT_KEPT,
    DRAFT_REJECTED,
    DRAFT_RETRACTED,
    ADAPTERS_MIXED,
    ABORTED_COMPILING,
    SESSION_KEEPS,
)
_ABORTED: Mapping[str, State] = {
    "waiting": ABORTED_WAITING,
    "chunked": ABORTED_CHUNKED,
    "running": ABORTED_RUNNING,
    "retracted": ABORTED_RETRACTED,
    COMPILING: ABORTED_COMPILING,
}
# A campaign of so many scripts reaches every state that it can.
ENOUGH_SCRIPTS = 1_000


@dataclass(slots=True)
class Watch:
    """Sees which states one script reaches.

    Attributes:
        reached: names of those states.
    """

    engine: Engine
    run: JudgedRun
    reached: set[str] = field(default_factory=set)
    _retracted: dict[str, int] = field(default_factory=dict)
    _ran: set[str] = field(default_factory=set)
    _put_back: set[str] = field(default_factory=set)
    _evicted: bool = False
    _was_paused: bool = False
    _chunked_before: str | None = None

    def on_step(self, step: StepRecord) -> None:
        """One step has ended."""
        for state, holds in _OF_A_STEP:
            if state.name not in self.reached and holds(self.engine, step):
                self.reached.add(state.name)
        self._on_retraction(step)
        self._on_prefill(step)
        self._on_queue()
        self._on_pause()
        self._evicted = self._evicted or step.evict_given_tokens > 0
        self._ran.update(step.rids)

    def on_abort(self, stage: str | None) -> None:
        """A request at this stage is aborted."""
        if stage is not None:
            self.reached.add(_ABORTED[stage].name)

    def on_pause(self) -> None:
        """A pause is asked for: it may put back every request, unseen if it is ended at once."""
        self._put_back.update(self.run.rids)

    def on_drained(self) -> None:
        """Nothing waits or runs any more."""
        outputs = self.run.recorder.outputs
        if any(outputs[rid] >= self.run.wanted_outputs_of(rid) for rid in self._retracted):
            self.reached.add(RETRACTED_FINISHED.name)

    def _on_retraction(self, step: StepRecord) -> None:
        for rid in step.retracted_rids:
            self._retracted[rid] = count = self._retracted.get(rid, 0) + 1
            if count > 1:
                self.reached.add(RETRACTED_TWICE.name)

    def _on_prefill(self, step: StepRecord) -> None:
        if step.mode not in (PREFILL, MIXED):
            return
        page = self.engine.kv_pool.page_size
        for rid, hit in zip(step.rids, step.prefix_tokens, strict=False):
            if rid in self._ran or not hit:
                continue
            self.reached.add(HIT.name)
            if self._evicted and hit + page <= self._once_computed(rid):
                self.reached.add(HIT_AFTER_EVICTION.name)

    def _once_computed(self, rid: str) -> int:
        """Tokens at the head of a prompt that the prompt of an earlier request has, too; not the last one."""
        prompt = self.run.prompt(rid)[:-1]
        return max((_shared(prompt, self.run.prompt(one)) for one in self._ran), default=0)

    def _on_queue(self) -> None:
        """A request that ran and waits again, without a retraction or a pause, was preempted."""
        if self._was_paused or PREEMPTED.name in self.reached:
            return
        for rid in self.engine.waiting_rids():
            if rid in self._ran and rid not in self._retracted and rid not in self._put_back:
                self.reached.add(PREEMPTED.name)

    def _on_pause(self) -> None:
        is_paused = self.engine.is_paused()
        if is_paused and not self._was_paused:
            if self._ran.intersection(self.engine.waiting_rids()) or self.engine.running_rids():
                self.reached.add(PAUSED_RUNNING.name)
            if self._chunked_before is not None:
                self.reached.add(PAUSED_CHUNKED.name)
        self._was_paused, self._chunked_before = is_paused, self.engine.chunked_rid()


def _shared(ours: Sequence[int], theirs: Sequence[int]) -> int:
    """Tokens that two sequences share at their heads."""
    pairs = enumerate(zip(ours, theirs, strict=False))
    return next((place for place, (one, other) in pairs if one != other), min(len(ours), len(theirs)))


def _is_parked(engine: Engine, step: StepRecord) -> bool:
    return step.mode != IDLE and step.chunked_rid is not None and step.chunked_rid not in step.rids


def _is_rejected(engine: Engine, step: StepRecord) -> bool:
    """Of a decode, each request verifies its drafts and its newest token, and emits that and those right."""
    return any(count < verified for count, verified in zip(step.emitted_tokens, step.tokens, strict=False))


_OF_A_STEP: tuple[tuple[State, Callable[[Engine, StepRecord], bool]], ...] = (
    (PARKED, _is_parked),
    (RETRACTED_CHUNKED, lambda engine, step: bool(step.retracted_rids) and step.chunked_rid is not None),
    (EVICTED_LOCKED, lambda engine, step: step.evict_given_tokens > 0 and step.protected_tokens > 0),
    (MARKED_FULL, lambda engine, step: step.waiting > 0 and engine.is_marked_full()),
    (TOKEN_DROPPED, lambda engine, step: bool(step.dropped_rids)),
    (ROWS_OUT_QUEUE_EMPTY, lambda engine, step: step.mode != IDLE and not (step.free_rows or step.waiting)),
    (ROWS_OUT_QUEUED, lambda engine, step: step.mode != IDLE and not step.free_rows and step.waiting > 0),
    (
        PAGES_OUT,
        lambda engine, step: step.mode != IDLE and step.free_tokens + step.evictable_tokens == 0,
    ),
    (MIXED_RAN, lambda engine, step: step.mode == MIXED),
    (WINDOW_EVICTED, lambda engine, step: step.window_evicted_tokens > 0),
    (GIVEN_UP, lambda engine, step: step.memory_aborts > 0),
    (BACKED_UP, lambda engine, step: step.backed_up_tokens > 0),
    (LOADED_BACK, lambda engine, step: step.loaded_back_tokens > 0),
    (STATE_EVICTED, lambda engine, step: step.mamba_evicted_slots > 0),
    (DRAFT_KEPT, lambda engine, step: any(count > 1 for count in step.emitted_tokens)),
    (DRAFT_REJECTED, _is_rejected),
    (DRAFT_RETRACTED, lambda engine, step: bool(step.retracted_rids) and step.draft_kv_returned_tokens > 0),
    (ADAPTERS_MIXED, lambda engine, step: step.batch_adapters > 1),
    (SESSION_KEEPS, lambda engine, step: step.session_rows > 0),
)


def unreached(reached: Mapping[str, int], possible: Mapping[str, int], *, scripts: int) -> tuple[str, ...]:
    """Return the states that a campaign should have reached and has not; none of a small campaign.

    Args:
        reached: scripts that reached each state, by its name.
        possible: scripts that had all features which it needs, by its name.
        scripts: how many were played.
    """
    if scripts < ENOUGH_SCRIPTS:
        return ()
    return tuple(one.name for one in STATES if possible.get(one.name, 0) and not reached.get(one.name, 0))
