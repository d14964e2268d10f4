"""`ScriptedContext`: what a script is given to act on the engine and to ask it things."""

from __future__ import annotations

import uuid
from array import array
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from exhausters.engine.sglang import request_messages as messages
from exhausters.engine.sglang import seams
from exhausters.engine.sglang.carryover import Carryover
from exhausters.engine.sglang.tree import NodeView, open_tree
from exhausters.errors import UsageError
from exhausters.pressure import PressureLevels, PressureSet
from exhausters.scripted import queries
from exhausters.scripted.batch_log import BatchLog
from exhausters.scripted.req_handle import ScriptedReqHandle

if TYPE_CHECKING:
    from exhausters.engine.clock import RealClock, VirtualClock
    from exhausters.observe.phases import PhaseSwitch
    from exhausters.workloads import Request

_PAUSE_MODES = ("retract", "in_place")


class Observer(Protocol):
    """Something that watches every step and batch of a script."""

    def on_step(self) -> None:
        """One iteration has ended; the next is about to begin."""

    def on_run_batch(self, batch: Any) -> None:
        """A batch is about to run."""


class ScriptedContext:
    """The engine as a script sees it.

    Everything that acts on the engine is put into the scheduler's inbox and is received by it in the
    iteration that follows, except the exhausters, which act at once.

    Attributes:
        scheduler: SGLang's own scheduler object.
        clock: the worker's clock; `clock.advance(seconds)` moves modelled time.
        observers: are told of every step and batch until the script ends.
        phases: splits steps into phases while a run is timed or counted.
        emitted_token: what the null model emits for every request and step.
        salvage: returns what the running script has so far; asked for when the scheduler fails.
    """

    def __init__(
        self,
        *,
        scheduler: Any,
        inbox: seams.Inbox,
        clock: VirtualClock | RealClock,
        emitted_token: int,
        message_maker: Any = messages,
        spool_path: Path | None = None,
    ) -> None:
        """See the class.

        Args:
            scheduler: SGLang's own scheduler object.
            inbox: what the scheduler receives from.
            clock: the worker's clock.
            emitted_token: what the null model emits for every request and step.
            spool_path: file for what must outlive the worker; None for none.
            message_maker: has the functions of `exhausters.engine.sglang.request_messages`; another one only
                where the scheduler is a fake, because those import sglang.
        """
        self.scheduler = scheduler
        self.clock = clock
        self.batch_log = BatchLog()
        self.seen_rids: set[str] = set()
        self.observers: list[Observer] = []
        self.phases: PhaseSwitch | None = None
        self.salvage: Callable[[], Any] | None = None
        self.spool_path = spool_path
        self._inbox = inbox
        self._messages = message_maker
        self._started = 0
        self._carryover: Carryover | None = None
        self.emitted_token = emitted_token
        self._submitted: list[array[int]] = []
        self.pressure = PressureSet(scheduler, submitted_prompts=lambda: self._submitted)

    def start_req(
        self,
        *,
        prompt_len: int,
        max_new_tokens: int = 8,
        rid: str | None = None,
        ignore_eos: bool = False,
        priority: int | None = None,
        dp_rank: int | None = None,
        prompt_token: int = 1,
        return_logprob: bool = False,
        logprob_start_len: int | None = None,
        top_logprobs_num: int | None = None,
        stop_token_ids: list[int] | None = None,
        temperature: float | None = None,
        lora_path: str | None = None,
    ) -> ScriptedReqHandle:
        """Send a request whose prompt is `prompt_token` repeated `prompt_len` times.

        Keywords are those of SGLang's scripted runtime; `lora_path` only keeps prefixes apart.
        """
        if isinstance(prompt_len, bool) or not isinstance(prompt_len, int) or prompt_len < 1:
            raise UsageError(f"prompt_len={prompt_len!r}: expected an integer >= 1")
        sampling: dict[str, Any] = {"max_new_tokens": max_new_tokens, "ignore_eos": ignore_eos}
        if stop_token_ids is not None:
            sampling["stop_token_ids"] = stop_token_ids
        if temperature is not None:
            sampling["temperature"] = temperature
        return self.submit(
            [prompt_token] * prompt_len,
            rid=rid,
            sampling=sampling,
            return_logprob=return_logprob,
            logprob_start_len=logprob_start_len,
            top_logprobs_num=top_logprobs_num,
            priority=priority,
            dp_rank=dp_rank,
            lora_path=lora_path,
        )

    def submit(
        self, input_ids: Sequence[int], *, rid: str | None = None, sampling: dict[str, Any], **keywords: Any
    ) -> ScriptedReqHandle:
        """Send a request with any prompt; the scheduler receives it in the next iteration.

        Args:
            input_ids: the prompt's token ids.
            rid: request id; made up when None.
            sampling: keywords of SGLang's `SamplingParams`.
            keywords: the further ones of `exhausters.engine.sglang.request_messages.generate_request`.
        """
        if rid is None:
            rid = f"scripted-{self._started}-{uuid.uuid4().hex}"
        self._started += 1
        request = self._messages.generate_request(rid=rid, input_ids=input_ids, sampling=sampling, **keywords)
        # With its output, which is known: cores without a walk are pinned through these sequences.
        outputs = array("q", [self.emitted_token]) * int(sampling.get("max_new_tokens") or 0)
        self._submitted.append(request.input_ids + outputs)
        self._inbox.put(request)
        return ScriptedReqHandle(rid=rid, context=self)

    def submit_request(self, request: Request) -> ScriptedReqHandle:
        """Send a workload's request, decoded greedily."""
        # Greedy: sampling would draw random numbers to find the one token that has any weight.
        sampling = {
            "max_new_tokens": request.max_new_tokens,
            "ignore_eos": request.ignore_eos,
            "temperature": 0.0,
        }
        return self.submit(
            request.tokens(self.emitted_token),
            rid=request.rid,
            sampling=sampling,
            priority=request.priority,
        )

    def pause_generation(self, *, mode: Literal["retract", "in_place"]) -> None:
        """Pause the engine, giving running requests' KV back (`retract`) or keeping it."""
        if mode not in _PAUSE_MODES:
            raise UsageError(f"mode={mode!r}: expected one of {_PAUSE_MODES}")
        self._inbox.put(self._messages.pause_generation(mode))

    def continue_generation(self, *, torch_empty_cache: bool = False) -> None:
        """Resume a paused engine."""
        self._inbox.put(self._messages.continue_generation(torch_empty_cache))

    def abort_all(self) -> None:
        """Abort every request."""
        self._inbox.put(self._messages.abort(abort_all=True))

    def abort(self, handle: ScriptedReqHandle, *, await_arrival: bool = True) -> None:
        """Abort one request; `await_arrival` is taken for SGLang's sake, arrival is certain here."""
        self._inbox.put(self._messages.abort(rid=handle.rid))

    def flush_cache(self) -> None:
        """Empty the tree cache; SGLang refuses while anything runs or waits."""
        self._inbox.put(self._messages.flush_cache())

    def evict_radix(self, *, prefix_tokens: list[int] | None) -> None:
        """Evict the whole tree cache; as in SGLang's runtime, only `prefix_tokens=None` is supported."""
        if prefix_tokens is not None:
            raise UsageError(f"prefix_tokens={prefix_tokens!r}: expected None, only all can be evicted")
        self.flush_cache()

    def exhaust_kv(self, *, leave_pages: int) -> None:
        """Take KV tokens from the allocator until `leave_pages` pages remain."""
        seams.set_idle_checks(self.scheduler, False)
        self.pressure.kv_pool.exhaust(leave_pages=leave_pages)

    def exhaust_lock_refs(self, *, leave_refs: int) -> None:
        """Pin tree nodes until at most `leave_refs` unlocked ones remain."""
        seams.set_idle_checks(self.scheduler, False)
        self.pressure.lock_refs.exhaust(leave_refs=leave_refs)

    def exhaust_rows(self, *, leave_rows: int) -> None:
        """Take request rows until `leave_rows` remain."""
        seams.set_idle_checks(self.scheduler, False)
        self.pressure.req_rows.exhaust(leave_rows=leave_rows)

    def exhaust(self, *, held: bool = False, **levels: int) -> None:
        """Take down to every level given, of any registered exhauster: `t.exhaust(leave_rows=3)`.

        Raises:
            LevelError: a name that no exhauster has, or a bad level.
            PressureError: a level could not be taken; everything held was released.
        """
        self.apply_pressure(PressureLevels(held=held, **levels))

    def apply_pressure(self, levels: PressureLevels) -> None:
        """Take every level given, once or held."""
        if levels.given():
            seams.set_idle_checks(self.scheduler, False)
            self.pressure.apply(levels)

    def release_pressure(self) -> None:
        """Give back everything the exhausters hold, in reverse order; harmless when nothing is held."""
        try:
            self.pressure.release()
        finally:
            # SGLang's own idle check counts again from the next idle iteration on.
            seams.set_idle_checks(self.scheduler, True)

    def _release_exhausted_pools(self) -> None:
        self.release_pressure()

    def get_all_node_hit_counts(self) -> dict[int, int]:
        """Return hit counts by node id."""
        return {node.node_id: node.hit_count or 0 for node in self._walk_tree()}

    def get_all_node_lock_refs(self) -> dict[int, int]:
        """Return lock counts by node id, 0 for nodes that can be evicted.

        Cores that can only tell locked from unlocked nodes give 1 for "at least one".
        """
        return {node.node_id: node.lock_refs for node in self._walk_tree()}

    def _walk_tree(self) -> list[NodeView]:
        cache = self.scheduler.tree_cache
        return [] if cache.disable else open_tree(cache, lambda: self._submitted).walk()

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits, runs, or is being prefilled in chunks."""
        return queries.is_idle(self.scheduler)

    @property
    def is_fully_idle(self) -> bool:
        """`is_idle`, and the last batch has nothing left to be processed either."""
        return queries.is_fully_idle(self.scheduler)

    @property
    def last_batch_forward_mode(self) -> str | None:
        """Name of the last batch's forward mode, e.g. `EXTEND`."""
        return queries.last_batch_forward_mode(self.scheduler)

    def find_req_by_rid(self, rid: str) -> Any | None:
        """Return SGLang's request object, or None."""
        return queries.find_req_by_rid(self, rid)

    def is_finished(self, rid: str) -> bool:
        """Whether the request has run to its end or was aborted."""
        return queries.is_finished(self, rid)

    def is_chunking(self, rid: str) -> bool:
        """Whether it is the request being prefilled in chunks right now."""
        chunked = self.scheduler.chunked_req
        return chunked is not None and chunked.rid == rid

    def status(self, rid: str) -> str:
        """Return `waiting`, `running`, `finished` or `unknown`."""
        return queries.status(self, rid)

    def remaining_prompt_tokens(self, rid: str) -> int:
        """Prompt tokens whose KV is not committed yet."""
        return queries.remaining_prompt_tokens(self, rid)

    def list_active_reqs(self) -> list[Any]:
        """Return every request that a queue or batch holds, once."""
        return list({id(req): req for req in queries.iter_requests(self.scheduler)}.values())

    def chunks_done(self, rid: str) -> int:
        """Prefill chunks that have run."""
        return self.batch_log.chunks_done(rid)

    def chunked_parks(self, rid: str) -> int:
        """Batches that ran without the request while it was the chunked one."""
        return self.batch_log.parks(rid)

    def batch_composition(self) -> dict[str, list[str]]:
        """Return request ids by role: `prefill`, `decode`, `chunked`, `running`."""
        return queries.batch_composition(self.scheduler)

    def engine_stats(self) -> dict[str, int]:
        """Return free KV tokens, free and all request rows, and tokens a page."""
        return queries.engine_stats(self.scheduler)

    @property
    def has_unreceived(self) -> bool:
        """Whether messages wait that the scheduler has not received yet."""
        return len(self._inbox) > 0

    def forget_carryover(self) -> None:
        """Put back what earlier scripts left in the engine's counters (the first call only remembers)."""
        if self._carryover is None:
            self._carryover = Carryover(self.scheduler)
        self._carryover.restore()

    def begin_script(self) -> None:
        """Forget what earlier scripts submitted and ran."""
        self.batch_log.clear()
        self.seen_rids.clear()
        self._submitted.clear()
        self._started = 0
