"""Watches one run inside the worker and makes one `StepRecord` per step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from exhausters.engine.api import DECODE_ROLE, PREFILL_ROLE, BatchView, Engine, PoolSnapshot
from exhausters.engine.clock import RealClock, VirtualClock
from exhausters.errors import ConservationError, RanksDisagreeError
from exhausters.observe.adapter_loads import AdapterLoads
from exhausters.observe.conservation import ConservationCheck, PoolCount, describe
from exhausters.observe.decision_log import DecisionLog
from exhausters.observe.drafts import DraftStep, DraftTokens
from exhausters.observe.emitted_tokens import computes_token_for
from exhausters.observe.forward_time import ForwardShape, ForwardTimeModel
from exhausters.observe.host_tier import HostStep, HostTier
from exhausters.observe.hybrid_pools import HybridPools, HybridStep
from exhausters.observe.other_ranks import Disagreement, OtherRanks, RankLogs
from exhausters.observe.step_record import DECODE, IDLE, StepRecord
from exhausters.observe.transfer_watch import TransferStep, TransferWatch
from exhausters.pressure import PressureSet
from exhausters.worker.spool import StepSpool

_NO_BATCH = BatchView(mode=IDLE)
_NO_FORWARD = ForwardShape(prefill_tokens=0, decode_requests=0, kv_tokens_read=0)


class Recorder:
    """An observer of the scripted hook; `start` and `stop` bracket the steps that count.

    It also moves the clock: at the end of a step by the modelled time of its forward, or by
    `idle_step_ns` when there was none.

    Attributes:
        outputs: output tokens emitted so far, by request id.
        failed_transfers: requests that were lost because their transfer failed.
        unbalanced: pools that do not add up after the newest step, of a recorder that does not raise.
        disagreements: ranks that decided otherwise in the newest step, likewise.
        ranks: the other ranks of the engine; None where it has no others.
    """

    # A polling loop without work; small beside any forward, but time must pass for arrivals to come.
    idle_step_ns = 1_000_000

    def __init__(
        self,
        *,
        engine: Engine,
        clock: VirtualClock | RealClock,
        pressure: PressureSet,
        forward_time: ForwardTimeModel,
        spool_path: Path | None = None,
        raises: bool = True,
        ranks: OtherRanks | None = None,
    ) -> None:
        """Watch `engine`, and its other `ranks` where it has any.

        Without `raises`, pools that do not add up are told in `unbalanced` instead, and ranks that do not
        agree in `disagreements`.
        """
        self._engine = engine
        self._clock = clock
        self._pressure = pressure
        self._forward_time = forward_time
        self._spool = StepSpool(spool_path)
        self._host = HostTier(engine, pressure)
        self._hybrid = HybridPools(engine, pressure)
        self._adapters = AdapterLoads(engine, pressure)
        self._transfers = TransferWatch(engine, pressure)
        self._role = self._transfers.role
        self._drafts = DraftTokens(engine)
        self._conservation = ConservationCheck(engine, pressure)
        self._raises = raises
        self.unbalanced: tuple[PoolCount, ...] = ()
        self.disagreements: tuple[Disagreement, ...] = ()
        self.ranks = ranks
        self._ranks = None if ranks is None else RankLogs(ranks)
        self._start_ns = clock.elapsed_ns
        self._steps: list[StepRecord] = []
        self._kv_tokens: Counter[str] = Counter()
        self.outputs: Counter[str] = Counter()
        self.failed_transfers: set[str] = set()
        self._stop_watching: Callable[[], None] | None = None
        # What is known of the step that is under way.
        self._batch = _NO_BATCH
        self._retracted: list[str] = []
        self._preempted: list[str] = []
        self._dropped: list[str] = []
        # A step's result is looked at one step later, as far as the scheduler is concerned.
        self._is_overlapped = engine.is_overlapped
        self._open_step()

    def start(self) -> None:
        """Begin to count evictions, retractions, copies, drafts and loads of adapters.

        Raises:
            SeamError: the engine cannot be watched; nothing stays wrapped.
        """
        self._stop_watching = self._engine.watch(self)
        try:
            self._transfers.start()
            self._host.start()
            self._hybrid.start()
            self._adapters.start()
            self._drafts.start()
        except BaseException:
            self.stop()
            raise
        if self._ranks is not None:
            self._ranks.start(self._forward_time)

    def stop(self) -> None:
        """Remove the wrappers; harmless when repeated."""
        self._drafts.stop()
        self._adapters.stop()
        self._hybrid.stop()
        if self._ranks is not None:
            self._ranks.stop()
        self._host.stop()
        if self._stop_watching is not None:
            self._stop_watching()

    @property
    def log(self) -> DecisionLog:
        """All steps so far."""
        return DecisionLog(tuple(self._steps))

    @property
    def rank_logs(self) -> tuple[DecisionLog, ...]:
        """All steps so far of every further rank; empty for an engine of one."""
        return () if self._ranks is None else self._ranks.logs

    @property
    def step_count(self) -> int:
        """Steps so far."""
        return len(self._steps)

    @property
    def newest(self) -> StepRecord | None:
        """The newest step; None before the first."""
        return self._steps[-1] if self._steps else None

    @property
    def memory_aborts(self) -> int:
        """Requests that were given up in the step that is under way."""
        return self._memory_aborts

    @property
    def last_mode(self) -> str:
        """Mode of the newest step; `idle` before the first."""
        return self._steps[-1].mode if self._steps else IDLE

    def on_run_batch(self, batch: BatchView) -> None:
        """Note the batch that is about to run."""
        self._batch = batch
        if self._role:
            self._note_arrivals()
        if batch.mode == DECODE:
            self._note_decode(batch)
        elif batch.mode != IDLE:
            self._note_prefill(batch)

    def on_step(self) -> None:
        """Close the record of the step that has ended, and count the pools to their totals.

        Raises:
            ConservationError: pages or rows are missing, or there twice; the record is kept all the same.
                Never without `raises`.
            RanksDisagreeError: another rank decided otherwise. Never without `raises`.
        """
        forward_ns = self._forward_ns()
        host = self._host.take_step(forward_ns)
        forward_ns += host.load_back_wait_ns + host.backup_wait_ns
        if self._ranks is not None:
            self._ranks.receive()
            forward_ns = self._ranks.forward_ns(forward_ns, self._batch.mode)
            self.outputs.update(self._new_outputs(self._ranks))
        self._clock.advance_ns(forward_ns)
        drafts = self._drafts.take_step()
        if drafts.emitted_tokens:
            self._note_emitted(drafts.emitted_tokens)
        pools = self._engine.snapshot()
        self._note_arrivals()
        transfers = self._transfers.take_step()
        self.failed_transfers.update(transfers.failed_rids)
        record = self._record(forward_ns, pools, host, self._hybrid.take_step(), transfers, drafts)
        self._steps.append(record)
        self._spool.offer(self._steps)
        self._open_step()
        if self._raises:
            self._conservation.check(record, pools)
        else:
            self.unbalanced = self._conservation.broken(record, pools)
        if self._ranks is not None:
            self._judge_ranks(self._ranks)

    def _new_outputs(self, ranks: RankLogs) -> dict[str, int]:
        return {rid: count - self.outputs[rid] for rid, count in ranks.outputs().items()}

    def _judge_ranks(self, ranks: RankLogs) -> None:
        unbalanced = ranks.unbalanced()
        self.disagreements = ranks.disagreements(self._steps)
        if not self._raises:
            self.unbalanced += unbalanced
            return
        if self.disagreements:
            raise RanksDisagreeError(f"the ranks do not decide alike: {self.disagreements[0]}")
        if unbalanced:
            raise ConservationError(describe(unbalanced[0], step=self._steps[-1].step))

    def _record(
        self,
        forward_ns: int,
        pools: PoolSnapshot,
        host: HostStep,
        hybrid: HybridStep,
        transfers: TransferStep,
        drafts: DraftStep,
    ) -> StepRecord:
        batch, pressure = self._batch, self._pressure
        return StepRecord(
            step=len(self._steps),
            mode=batch.mode,
            rids=batch.rids,
            tokens=batch.tokens,
            decoding_requests=batch.decoding_requests,
            prefix_tokens=batch.prefix_tokens,
            chunked_rid=batch.chunked_rid,
            retracted_rids=tuple(self._retracted),
            retracted_tokens=self._retracted_tokens,
            dropped_rids=tuple(self._dropped),
            memory_aborts=self._memory_aborts,
            evict_calls=self._evict_calls,
            evict_asked_tokens=self._evict_asked,
            evict_given_tokens=self._evict_given,
            free_tokens=pools.free_tokens,
            evictable_tokens=pools.evictable_tokens,
            protected_tokens=pools.protected_tokens,
            held_tokens=pressure.kv_pool.held_tokens,
            free_rows=pools.free_rows,
            held_rows=pressure.req_rows.held_rows,
            waiting=self._engine.waiting_count(),
            in_use_tokens=pools.in_use_tokens,
            window_free_tokens=pools.window_free_tokens,
            window_evictable_tokens=pools.window_evictable_tokens,
            window_protected_tokens=pools.window_protected_tokens,
            window_evicted_tokens=self._window_evicted,
            forward_ns=forward_ns,
            end_ns=self._clock.elapsed_ns - self._start_ns,
            host_free_tokens=pools.host_free_tokens,
            host_cached_tokens=pools.host_cached_tokens,
            host_held_tokens=host.held_tokens,
            backed_up_tokens=host.backed_up_tokens,
            loaded_back_tokens=host.loaded_back_tokens,
            host_evicted_tokens=host.evicted_tokens,
            load_back_wait_ns=host.load_back_wait_ns,
            backup_wait_ns=host.backup_wait_ns,
            window_held_tokens=hybrid.window_held_tokens,
            mamba_free_slots=pools.mamba_free_slots,
            mamba_evictable_slots=pools.mamba_evictable_slots,
            mamba_protected_slots=pools.mamba_protected_slots,
            mamba_held_slots=hybrid.mamba_held_slots,
            mamba_in_use_slots=pools.mamba_in_use_slots,
            mamba_evicted_slots=hybrid.mamba_evicted_slots,
            batch_adapters=batch.adapters,
            adapter_loads=self._adapters.take_step(),
            held_lora_slots=self._adapters.held_slots,
            compiling=len(self._engine.grammar_rids()),
            preempted_rids=tuple(self._preempted),
            preempted_tokens=self._preempted_tokens,
            session_tokens=pools.session_tokens,
            session_rows=pools.session_rows,
            role=transfers.role,
            bootstrapping=transfers.bootstrapping,
            preallocating=transfers.preallocating,
            transferring=transfers.transferring,
            transfer_tokens=transfers.transfer_tokens,
            free_prealloc_slots=pools.free_prealloc_slots,
            held_prealloc_slots=transfers.held_prealloc_slots,
            arrived_rids=transfers.arrived_rids,
            arrived_tokens=transfers.arrived_tokens,
            failed_transfer_rids=transfers.failed_rids,
            emitted_tokens=drafts.emitted_tokens,
            draft_kv_taken_tokens=drafts.taken_tokens,
            draft_kv_returned_tokens=drafts.returned_tokens,
            draft_reserved_tokens=drafts.reserved_tokens,
        )

    def _open_step(self) -> None:
        self._batch = _NO_BATCH
        self._retracted, self._preempted, self._dropped = [], [], []
        self._retracted_tokens = self._preempted_tokens = self._memory_aborts = 0
        self._evict_calls = self._evict_asked = self._evict_given = self._window_evicted = 0
        self._shape = _NO_FORWARD

    def _note_decode(self, batch: BatchView) -> None:
        rids, kv = batch.rids, self._kv_tokens
        # Counted and added up without a loop of our own: decode batches are large, and every step has one.
        kv.update(rids)
        self.outputs.update(rids)
        read = sum(map(kv.__getitem__, rids))
        # A draft is computed as a token of a prompt is: beside others of its request, which it attends to.
        drafts = batch.tokens[0] - 1 if batch.tokens else 0
        self._shape = ForwardShape(
            prefill_tokens=drafts * len(rids) if drafts else 0,
            decode_requests=len(rids),
            kv_tokens_read=read,
            attended_pairs=read * (drafts + 1),
        )

    def _note_emitted(self, emitted: tuple[int, ...]) -> None:
        """Count what a decode emits beside the one token of each request that is counted already."""
        for rid, count in zip(self._batch.rids, emitted, strict=True):
            self._kv_tokens[rid] += count - 1
            self.outputs[rid] += count - 1

    def _note_prefill(self, batch: BatchView) -> None:
        read = pairs = 0
        for rid, computed, cached in zip(batch.rids, batch.tokens, batch.prefix_tokens, strict=True):
            self._kv_tokens[rid] = length = cached + computed
            read += length
            # Each computed token attends to the cached ones and, causally, to those before it and itself.
            pairs += computed * cached + computed * (computed + 1) // 2
            if rid != batch.chunked_rid and self._role != PREFILL_ROLE:
                self.outputs[rid] += 1
        self._shape = ForwardShape(
            prefill_tokens=sum(batch.tokens) - batch.decoding_requests,
            decode_requests=batch.decoding_requests,
            kv_tokens_read=read,
            attended_pairs=pairs,
        )

    def _note_arrivals(self) -> None:
        """First tokens count when their transfer has ended; a decode engine has the KV from then on."""
        for one in self._transfers.collect():
            if one.brings_token:
                self.outputs[one.rid] += 1
                if self._role == DECODE_ROLE:
                    self._kv_tokens[one.rid] = one.kv_tokens

    def _forward_ns(self) -> int:
        return self.idle_step_ns if self._batch.mode == IDLE else self._forward_time.forward_ns(self._shape)

    def on_eviction(self, *, asked_tokens: int, freed_tokens: int, window_freed_tokens: int) -> None:
        """Note one eviction; called by the engine while it is watched."""
        self._evict_calls += 1
        self._evict_asked += asked_tokens
        self._evict_given += freed_tokens
        self._window_evicted += window_freed_tokens

    def on_retraction(self, *, own_tokens: Mapping[str, int], aborted: int) -> None:
        """Note one retraction; called by the engine while it is watched."""
        # Runs inside a counted phase: no call of a C function more than is needed (see `Engine.watch`).
        before = computes_token_for(self._steps[-1]) if self._steps and self._is_overlapped else ()
        for rid in own_tokens:
            self._retracted.append(rid)
            self._retracted_tokens += own_tokens[rid]
            if self._role != DECODE_ROLE:  # which backs the KV up and brings it back
                self._kv_tokens.pop(rid, None)
            if rid in before:
                self._dropped.append(rid)
                emitted = self._steps[-1].emitted_tokens
                self.outputs[rid] -= emitted[self._steps[-1].rids.index(rid)] if emitted else 1
        self._memory_aborts += aborted

    def on_preemption(self, *, own_tokens: Mapping[str, int]) -> None:
        """Note one preemption; what is lost by it is what is lost by a retraction."""
        before = computes_token_for(self._steps[-1]) if self._steps and self._is_overlapped else ()
        for rid in own_tokens:
            self._preempted.append(rid)
            self._preempted_tokens += own_tokens[rid]
            self._kv_tokens.pop(rid, None)
            if rid in before:
                self._dropped.append(rid)
                self.outputs[rid] -= 1
