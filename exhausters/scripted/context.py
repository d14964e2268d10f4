"""`ScriptedContext`: what a script is given to act on the engine and to ask it things."""

from __future__ import annotations

import uuid
from array import array
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

from exhausters.engine.api import BatchView, Engine, Submission, Transfers
from exhausters.engine.clock import RealClock, VirtualClock
from exhausters.errors import PrefixEvictionError, UnsupportedSettingError, UsageError
from exhausters.observe.phases import PhaseSwitch
from exhausters.pressure import PressureLevels, PressureSet
from exhausters.ranks.engine import LeadingPressureSet
from exhausters.ranks.leader import Followers
from exhausters.scripted import queries
from exhausters.scripted.as_sglang import FinishedRequests, ShownHook
from exhausters.scripted.batch_log import BatchLog
from exhausters.scripted.req_handle import ScriptedReqHandle
from exhausters.workloads import EmittedText, Request, Transfer

_PAUSE_MODES = ("retract", "in_place")


class Observer(Protocol):
    """Something that watches every step and batch of a script."""

    def on_step(self) -> None:
        """One iteration has ended; the next is about to begin."""

    def on_run_batch(self, batch: BatchView) -> None:
        """A batch is about to run."""


class ScriptedContext:
    """The engine as a script sees it.

    Everything that acts on the engine is received by it in the iteration that follows, except the exhausters,
    which act at once.

    Attributes:
        engine: the engine, as the harness sees it.
        scheduler: SGLang's own scheduler object, for scripts.
        clock: the worker's clock; `clock.advance(seconds)` moves modelled time.
        observers: are told of every step and batch until the script ends.
        phases: splits steps into phases while a run is timed or counted.
        text: what the null model emits.
        cells_run: ids of the cells that have run to their end in this worker.
        boot_lines: lines that the boot executed, by file below the source folder; empty unless the host's
            settings have `record_boot`.
        full_marks_cleared: resets in this worker that found the idle engine marked as full.
        salvage: returns what the running script has so far; asked for when the scheduler fails.
        ranks: the other ranks of the engine; None when it has no others.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        clock: VirtualClock | RealClock,
        text: EmittedText,
        spool_path: Path | None = None,
        ranks: Followers | None = None,
    ) -> None:
        """See the class.

        Args:
            engine: the booted engine.
            clock: the worker's clock.
            text: what the null model emits.
            spool_path: file for what must outlive the worker; None for none.
            ranks: the other ranks of the engine.
        """
        self.engine = engine
        self.scheduler = engine.native
        self.clock = clock
        self.batch_log = BatchLog()
        self.observers: list[Observer] = []
        self.phases: PhaseSwitch | None = None
        self.salvage: Callable[[], object] | None = None
        self.cells_run: set[str] = set()
        self.full_marks_cleared = 0
        self._is_unbalanced = False
        self.boot_lines: Mapping[str, Sequence[int]] = {}
        self.spool_path = spool_path
        self.text = text
        self.ranks = ranks
        self.pressure = PressureSet(engine) if ranks is None else LeadingPressureSet(engine, ranks)
        self._requests = queries.RequestQueries(engine, self.batch_log)
        self._started = 0
        self._scheduler_hook = ShownHook()

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
        transfer: Transfer | None = None,
    ) -> ScriptedReqHandle:
        """Send a request whose prompt is `prompt_token` repeated `prompt_len` times.

        Keywords are those of SGLang's scripted runtime; `lora_path` only keeps prefixes apart, and `transfer`
        says how its KV travels, in an engine of a disaggregated pair.
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
            transfer=transfer,
        )

    def submit(
        self, input_ids: Sequence[int], *, rid: str | None = None, sampling: dict[str, Any], **keywords: Any
    ) -> ScriptedReqHandle:
        """Send a request with any prompt; the scheduler receives it in the next iteration.

        Args:
            input_ids: the prompt's token ids.
            rid: request id; made up when None.
            sampling: keywords of SGLang's `SamplingParams`.
            keywords: the further fields of `exhausters.engine.api.Submission`.
        """
        if rid is None:
            rid = f"scripted-{self._started}-{uuid.uuid4().hex}"
        self._started += 1
        tokens = input_ids if isinstance(input_ids, array) else array("q", input_ids)
        self.engine.submit(Submission(rid=rid, input_ids=tokens, sampling=sampling, **keywords))
        return ScriptedReqHandle(rid=rid, context=self)

    def submit_request(self, request: Request) -> ScriptedReqHandle:
        """Send a workload's request, decoded greedily.

        Raises:
            UnsupportedSettingError: it names an adapter, and the engine is booted without; or it has a
                grammar, or is a turn of a session, and the engine takes none.
        """
        if request.adapter is not None:
            self.require_adapters(request.rid, request.adapter)
        # Greedy: sampling would draw random numbers to find the one token that has any weight.
        sampling = {
            "max_new_tokens": request.max_new_tokens,
            "ignore_eos": request.ignore_eos,
            "temperature": 0.0,
        }
        if request.frequency_penalty:
            sampling["frequency_penalty"] = request.frequency_penalty
        tokens, session = request.tokens(self.text), request.session
        if session is not None and not session.has_tokens:
            self.engine.open_session(session.name, is_streaming=session.streams)
        return self.submit(
            tokens if session is None else tokens[session.has_tokens :],
            rid=request.rid,
            sampling=sampling,
            priority=request.priority,
            return_logprob=request.logprobs_from is not None,
            logprob_start_len=request.logprobs_from,
            lora_path=request.adapter,
            grammar_steps=request.grammar_steps,
            session_id=None if session is None else session.name,
            session_rid=None if session is None else request.after,
            transfer=request.transfer,
        )

    def require_adapters(self, rid: str, adapter: str) -> None:
        """Raise UnsupportedSettingError if a request names an adapter and the engine has no slots for any."""
        if self.engine.adapter_slots is None:
            raise UnsupportedSettingError(
                f"request {rid!r} names the adapter {adapter!r}, and this engine has none; "
                "boot it with server_args.enable_lora = [true], or leave `adapters` out of the workload"
            )

    def pause_generation(self, *, mode: Literal["retract", "in_place"]) -> None:
        """Pause the engine, giving running requests' KV back (`retract`) or keeping it."""
        if mode not in _PAUSE_MODES:
            raise UsageError(f"mode={mode!r}: expected one of {_PAUSE_MODES}")
        self.engine.pause(mode)

    def continue_generation(self, *, torch_empty_cache: bool = False) -> None:
        """Resume a paused engine."""
        self.engine.resume(empty_device_cache=torch_empty_cache)

    def abort_all(self) -> None:
        """Abort every request."""
        self.engine.abort_all()

    def abort(self, handle: ScriptedReqHandle, *, await_arrival: bool = True) -> None:
        """Abort one request; `await_arrival` is taken for SGLang's sake, arrival is certain here."""
        self.engine.abort(handle.rid)

    def flush_cache(self) -> None:
        """Empty the tree cache; SGLang refuses while anything runs or waits."""
        self.engine.flush()

    def evict_radix(self, *, prefix_tokens: list[int] | None) -> None:
        """Evict the whole tree cache; as in SGLang's runtime, only `prefix_tokens=None` is supported."""
        if prefix_tokens is not None:
            raise PrefixEvictionError(
                f"prefix_tokens={prefix_tokens!r}: expected None, only all can be evicted"
            )
        self.flush_cache()

    def exhaust_kv(self, *, leave_pages: int) -> None:
        """Take KV tokens from the allocator until `leave_pages` pages remain."""
        self.engine.set_idle_checks(False)
        self.pressure.take_once("leave_pages", leave_pages)

    def exhaust_lock_refs(self, *, leave_refs: int) -> None:
        """Pin tree nodes until at most `leave_refs` unlocked ones remain."""
        self.engine.set_idle_checks(False)
        self.pressure.take_once("leave_refs", leave_refs)

    def exhaust_rows(self, *, leave_rows: int) -> None:
        """Take request rows until `leave_rows` remain."""
        self.engine.set_idle_checks(False)
        self.pressure.take_once("leave_rows", leave_rows)

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
            self.engine.set_idle_checks(False)
            self.pressure.apply(levels)

    def release_pressure(self) -> None:
        """Give back everything the exhausters hold, in reverse order; harmless when nothing is held."""
        try:
            self.pressure.release()
        finally:
            # SGLang's own idle check counts again from the next idle iteration on.
            self.engine.set_idle_checks(not self._is_unbalanced)

    def tolerate_unbalanced(self) -> None:
        """Keep SGLang's own idle check off until the next reset: it would end the worker."""
        self._is_unbalanced = True
        self.engine.set_idle_checks(False)

    def expect_balance(self) -> None:
        """The pools were flushed: what was lost is back, and SGLang's own idle check counts again."""
        self._is_unbalanced = False
        self.engine.set_idle_checks(True)

    def _release_exhausted_pools(self) -> None:
        self.release_pressure()

    @property
    def transfers(self) -> Transfers:
        """What moves the transfers of this engine of a disaggregated pair.

        Raises:
            UnsupportedSettingError: the engine runs alone.
        """
        if self.engine.transfers is None:
            raise UnsupportedSettingError(
                "t.transfers: this engine is no part of a disaggregated pair; boot it with "
                "disaggregation_mode='prefill' or 'decode'"
            )
        return self.engine.transfers

    def get_all_node_hit_counts(self) -> dict[int, int]:
        """Return hit counts by node id."""
        return {node.node_id: node.hit_count or 0 for node in self.engine.tree.walk()}

    def get_all_node_lock_refs(self) -> dict[int, int]:
        """Return lock counts by node id, 0 for nodes that can be evicted.

        Cores that can only tell locked from unlocked nodes give 1 for "at least one".
        """
        return {node.node_id: node.lock_refs for node in self.engine.tree.walk()}

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits, runs, or is being prefilled in chunks."""
        return self.engine.is_idle()

    @property
    def is_fully_idle(self) -> bool:
        """`is_idle`, and the last batch has nothing left to be processed either."""
        return self.engine.is_fully_idle()

    @property
    def last_batch_forward_mode(self) -> str | None:
        """Name of the last batch's forward mode, e.g. `EXTEND`."""
        last = self.engine.last_batch()
        return None if last is None else last.engine_mode

    def find_req_by_rid(self, rid: str) -> Any | None:
        """Return SGLang's request object, or None."""
        request = self._requests.find(rid)
        return None if request is None else request.native

    def is_finished(self, rid: str) -> bool:
        """Whether the request has run to its end or was aborted."""
        return self._requests.is_finished(rid)

    def is_chunking(self, rid: str) -> bool:
        """Whether it is the request being prefilled in chunks right now."""
        return self.engine.chunked_rid() == rid

    def status(self, rid: str) -> str:
        """Return `waiting`, `transferring` (of a disaggregated pair), `running`, `finished` or `unknown`."""
        return self._requests.status(rid)

    def remaining_prompt_tokens(self, rid: str) -> int:
        """Prompt tokens whose KV is not committed yet."""
        return self._requests.remaining_prompt_tokens(rid)

    def output_tokens(self, rid: str) -> int:
        """Tokens the request has emitted, as far as the scheduler has processed them."""
        return self._requests.output_tokens(rid)

    def kv_pages(self, rid: str) -> int:
        """Pages of KV the request holds."""
        return self._requests.kv_pages(rid)

    def lock_refs(self, rid: str) -> int:
        """Locks on the tree node at which the request's cached prefix ends."""
        return self._requests.lock_refs(rid)

    def list_active_reqs(self) -> list[Any]:
        """Return every request that a queue or batch holds, once."""
        return self.engine.active_requests()

    def chunks_done(self, rid: str) -> int:
        """Prefill chunks that have run."""
        return self.batch_log.chunks_done(rid)

    def chunked_parks(self, rid: str) -> int:
        """Batches that ran without the request while it was the chunked one."""
        return self.batch_log.parks(rid)

    def batch_composition(self) -> dict[str, list[str]]:
        """Return request ids by role: `prefill`, `decode`, `chunked`, `running`."""
        return queries.batch_composition(self.engine)

    def engine_stats(self) -> dict[str, int]:
        """Return free KV tokens, free and all request rows, and tokens per page."""
        return queries.engine_stats(self.engine)

    @property
    def has_unreceived(self) -> bool:
        """Whether messages wait that the scheduler has not received yet."""
        return self.engine.has_unreceived

    def begin_script(self, *, as_sglang: bool = False) -> None:
        """Forget what earlier scripts submitted and ran.

        With `as_sglang` the script sees, beside the context, what SGLang's own runtime has: a log of batches
        (`t._scheduler_hook._batch_log`), and a request for one step after its end.
        """
        self.batch_log.clear()
        self._requests.clear()
        self.engine.begin_script()
        self._started = 0
        self._scheduler_hook = ShownHook()
        if as_sglang:
            self._requests.finished = FinishedRequests()
            self.observers.append(self._scheduler_hook)

    @property
    def finished_requests(self) -> FinishedRequests | None:
        """What keeps requests for one step after their end; None for a script that did not ask for it."""
        return self._requests.finished
