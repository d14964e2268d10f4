"""Watches one run inside the worker and makes one `StepRecord` of every step."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from exhausters.engine.sglang import probes
from exhausters.engine.sglang.pools import PoolReader
from exhausters.observe import conservation
from exhausters.observe.decision_log import DecisionLog
from exhausters.observe.emitted_tokens import computes_token_for
from exhausters.observe.forward_time import ForwardShape, ForwardTimeModel
from exhausters.observe.step_record import DECODE, IDLE, MIXED, PREFILL, StepRecord
from exhausters.pressure import PressureSet
from exhausters.worker.spool import StepSpool

_NO_FORWARD = ForwardShape(prefill_tokens=0, decode_requests=0, kv_tokens_read=0)


class Recorder:
    """An observer of the scripted hook; `start` and `stop` bracket the steps that count.

    It also moves the clock: at the end of a step by the modelled time of its forward, or by
    `idle_step_ns` when there was none.

    Attributes:
        outputs: output tokens emitted so far, by request id.
    """

    # A polling loop without work; small beside any forward, but time must pass for arrivals to come.
    idle_step_ns = 1_000_000

    def __init__(
        self,
        *,
        scheduler: Any,
        clock: Any,
        pressure: PressureSet,
        forward_time: ForwardTimeModel,
        spool_path: Path | None = None,
    ) -> None:
        self._scheduler = scheduler
        self._clock = clock
        self._pressure = pressure
        self._forward_time = forward_time
        self._spool = StepSpool(spool_path)
        self._pools = PoolReader(scheduler)
        self._holders = conservation.Holders(scheduler)
        self._start_ns = clock.elapsed_ns
        self._steps: list[StepRecord] = []
        self._kv_tokens: Counter[str] = Counter()
        self.outputs: Counter[str] = Counter()
        self._probes: list[probes.CallProbe] = []
        # What is known of the step that is under way.
        self._rids: tuple[str, ...] = ()
        self._tokens: tuple[int, ...] = ()
        self._prefix_tokens: tuple[int, ...] = ()
        self._chunked_rid: str | None = None
        self._retracted: list[str] = []
        self._dropped: list[str] = []
        self._own_tokens: dict[str, int] = {}
        # A step's result is looked at one step later, as far as the scheduler is concerned.
        self._is_overlapped = bool(getattr(scheduler, "enable_overlap", False))
        self._open_step()

    def start(self) -> None:
        """Begin to count: wrap eviction and retraction."""
        tree = self._scheduler.tree_cache
        # On the class: every batch of the run is a new object. The running batch is there from boot on.
        batch_class = type(self._scheduler.running_batch)
        self._probes.append(probes.CallProbe(tree, probes.eviction_method(tree), self._note_eviction))
        self._probes.append(
            probes.CallProbe(batch_class, "retract_decode", self._note_retraction, before=self._note_holdings)
        )

    def stop(self) -> None:
        """Remove the wrappers; harmless when repeated."""
        while self._probes:
            self._probes.pop().remove()

    @property
    def log(self) -> DecisionLog:
        """All steps so far."""
        return DecisionLog(tuple(self._steps))

    @property
    def step_count(self) -> int:
        """Steps so far."""
        return len(self._steps)

    @property
    def last_mode(self) -> str:
        """Mode of the newest step; `idle` before the first."""
        return self._steps[-1].mode if self._steps else IDLE

    def on_run_batch(self, batch: Any) -> None:
        """Note the batch that is about to run."""
        self._rids = tuple([req.rid for req in batch.reqs])
        chunked = self._scheduler.chunked_req
        self._chunked_rid = chunked.rid if chunked is not None else None
        mode = batch.forward_mode
        if mode.is_decode():
            self._note_decode()
        elif mode.is_extend():
            self._note_extend(batch, mixed=mode.is_mixed())

    def on_step(self) -> None:
        """Close the record of the step that has ended, and count the pools to their totals.

        Raises:
            ConservationError: pages or rows are missing, or there twice; the record is kept all the same.
        """
        forward_ns = self._forward_ns()
        self._clock.advance_ns(forward_ns)
        in_use_tokens, rows_in_use = self._holders.in_use()
        record = self._record(forward_ns, in_use_tokens)
        self._steps.append(record)
        self._spool.offer(self._steps)
        self._open_step()
        self._check(record, rows_in_use)

    def _record(self, forward_ns: int, in_use_tokens: int) -> StepRecord:
        pools, pressure = self._pools, self._pressure
        window = pools.window()
        return StepRecord(
            step=len(self._steps),
            mode=self._mode,
            rids=self._rids,
            tokens=self._tokens,
            decoding_requests=self._decoding,
            prefix_tokens=self._prefix_tokens,
            chunked_rid=self._chunked_rid,
            retracted_rids=tuple(self._retracted),
            retracted_tokens=self._retracted_tokens,
            dropped_rids=tuple(self._dropped),
            memory_aborts=self._memory_aborts,
            evict_calls=self._evict_calls,
            evict_asked_tokens=self._evict_asked,
            evict_given_tokens=self._evict_given,
            free_tokens=pools.free_tokens(),
            evictable_tokens=pools.evictable_tokens(),
            protected_tokens=pools.protected_tokens(),
            held_tokens=pressure.kv_pool.held_tokens,
            free_rows=pools.free_rows(),
            held_rows=pressure.req_rows.held_rows,
            waiting=len(self._scheduler.waiting_queue),
            in_use_tokens=in_use_tokens,
            window_free_tokens=window.free_tokens,
            window_evictable_tokens=window.evictable_tokens,
            window_protected_tokens=window.protected_tokens,
            window_evicted_tokens=self._window_evicted,
            forward_ns=forward_ns,
            end_ns=self._clock.elapsed_ns - self._start_ns,
        )

    def _check(self, record: StepRecord, rows_in_use: int) -> None:
        cached = record.evictable_tokens + record.protected_tokens
        # Nearly every step adds up, and then nothing needs to be named.
        if (
            record.free_tokens + record.held_tokens + cached + record.in_use_tokens
            == self._pools.total_tokens
            and record.free_rows + record.held_rows + rows_in_use == self._pools.total_rows
        ):
            return
        tokens = conservation.PoolCount(
            pool="KV tokens",
            total=self._pools.total_tokens,
            free=record.free_tokens,
            held=record.held_tokens,
            cached=cached,
            in_use=record.in_use_tokens,
        )
        rows = conservation.PoolCount(
            pool="request rows",
            total=self._pools.total_rows,
            free=record.free_rows,
            held=record.held_rows,
            cached=0,
            in_use=rows_in_use,
        )
        conservation.check(tokens, step=record.step)
        conservation.check(rows, step=record.step)

    def _open_step(self) -> None:
        self._mode = IDLE
        self._rids = self._tokens = self._prefix_tokens = ()
        self._chunked_rid = None
        self._retracted, self._dropped = [], []
        self._retracted_tokens = self._memory_aborts = self._decoding = 0
        self._evict_calls = self._evict_asked = self._evict_given = self._window_evicted = 0
        self._shape = _NO_FORWARD

    def _note_decode(self) -> None:
        self._mode = DECODE
        rids, kv = self._rids, self._kv_tokens
        self._tokens = (1,) * len(rids)
        # Counted and added up without a loop of our own: decode batches are large, and every step has one.
        kv.update(rids)
        self.outputs.update(rids)
        read = sum(map(kv.__getitem__, rids))
        self._shape = ForwardShape(
            prefill_tokens=0, decode_requests=len(rids), kv_tokens_read=read, attended_pairs=read
        )

    def _note_extend(self, batch: Any, *, mixed: bool) -> None:
        self._mode = MIXED if mixed else PREFILL
        self._tokens = tuple(batch.extend_lens)
        self._prefix_tokens = tuple(batch.prefix_lens)
        # SGLang appends the decoding requests of a mixed batch, one token each.
        decoding = self._decoding = len(batch.decoding_reqs) if mixed and batch.decoding_reqs else 0
        read = pairs = 0
        for rid, computed, cached in zip(self._rids, self._tokens, self._prefix_tokens, strict=True):
            self._kv_tokens[rid] = length = cached + computed
            read += length
            # Each computed token attends to the cached ones and, causally, to those before it and itself.
            pairs += computed * cached + computed * (computed + 1) // 2
            if rid != self._chunked_rid:
                self.outputs[rid] += 1
        self._shape = ForwardShape(
            prefill_tokens=sum(self._tokens) - decoding,
            decode_requests=decoding,
            kv_tokens_read=read,
            attended_pairs=pairs,
        )

    def _forward_ns(self) -> int:
        return self.idle_step_ns if self._mode == IDLE else self._forward_time.forward_ns(self._shape)

    def _note_eviction(self, result: Any, params: Any) -> None:
        self._evict_calls += 1
        self._evict_asked += probes.tokens_asked(params)
        self._evict_given += probes.tokens_given(result)
        self._window_evicted += probes.window_tokens_given(result)

    def _note_holdings(self, batch: Any) -> None:
        # Before the call: afterwards the retracted requests hold nothing any more.
        self._own_tokens = {req.rid: self._holders.own_tokens(req) for req in batch.reqs}

    def _note_retraction(self, result: Any, _batch: Any) -> None:
        # (retracted requests, new estimate of the token ratio, requests to abort) in every release.
        before = computes_token_for(self._steps[-1]) if self._steps and self._is_overlapped else ()
        for req in result[0]:
            self._retracted.append(req.rid)
            self._retracted_tokens += self._own_tokens.get(req.rid, 0)
            self._kv_tokens.pop(req.rid, None)
            if req.rid in before:
                self._dropped.append(req.rid)
                self.outputs[req.rid] -= 1
        self._memory_aborts += len(result[2])
