"""Watches one run inside the worker and makes one `StepRecord` of every step."""

from __future__ import annotations

from collections import Counter
from typing import Any

from exhausters.observe import probes
from exhausters.observe.decision_log import DecisionLog
from exhausters.observe.forward_time import ForwardShape, ForwardTimeModel
from exhausters.observe.step_record import DECODE, IDLE, MIXED, PREFILL, StepRecord
from exhausters.pressure import PressureSet


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
        self, *, scheduler: Any, clock: Any, pressure: PressureSet, forward_time: ForwardTimeModel
    ) -> None:
        self._scheduler = scheduler
        self._clock = clock
        self._pressure = pressure
        self._forward_time = forward_time
        self._steps: list[StepRecord] = []
        self._kv_tokens: dict[str, int] = {}
        self.outputs: Counter[str] = Counter()
        self._probes: list[probes.CallProbe] = []
        # What is known of the step that is under way.
        self._rids: tuple[str, ...] = ()
        self._tokens: tuple[int, ...] = ()
        self._prefix_tokens: tuple[int, ...] = ()
        self._chunked_rid: str | None = None
        self._retracted: list[str] = []
        self._open_step()

    def start(self) -> None:
        """Begin to count: wrap eviction and retraction."""
        tree = self._scheduler.tree_cache
        self._probes = [
            probes.CallProbe(tree, probes.eviction_method(tree), self._note_eviction),
            probes.CallProbe(_batch_class(self._scheduler), "retract_decode", self._note_retraction),
        ]

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
        mode = batch.forward_mode
        if mode.is_decode():
            self._note_decode()
        elif mode.is_extend():
            self._note_extend(batch, mixed=mode.is_mixed())

    def on_step(self) -> None:
        """Close the record of the step that has ended."""
        scheduler = self._scheduler
        tree = scheduler.tree_cache
        held = self._pressure
        forward_ns = self._forward_ns()
        self._steps.append(
            StepRecord(
                step=len(self._steps),
                mode=self._mode,
                rids=self._rids,
                tokens=self._tokens,
                prefix_tokens=self._prefix_tokens,
                chunked_rid=self._chunked_rid,
                retracted_rids=tuple(self._retracted),
                retracted_tokens=self._retracted_tokens,
                evict_calls=self._evict_calls,
                evict_asked_tokens=self._evict_asked,
                evict_given_tokens=self._evict_given,
                free_tokens=int(scheduler.token_to_kv_pool_allocator.available_size()),
                evictable_tokens=_size(tree, "evictable_size"),
                protected_tokens=_size(tree, "protected_size"),
                held_tokens=held.kv_pool.held_tokens,
                free_rows=int(scheduler.req_to_token_pool.available_size()),
                held_rows=held.req_rows.held_rows,
                waiting=len(scheduler.waiting_queue),
                forward_ns=forward_ns,
            )
        )
        self._clock.advance(forward_ns / 1e9)
        self._open_step()

    def _open_step(self) -> None:
        self._mode = IDLE
        self._rids = self._tokens = self._prefix_tokens = ()
        self._chunked_rid = None
        self._retracted = []
        self._retracted_tokens = 0
        self._evict_calls = self._evict_asked = self._evict_given = 0
        self._shape = ForwardShape(prefill_tokens=0, decode_requests=0, kv_tokens_read=0)

    def _note_decode(self) -> None:
        self._mode = DECODE
        self._tokens = (1,) * len(self._rids)
        kv = self._kv_tokens
        read = 0
        for rid in self._rids:
            kv[rid] = length = kv.get(rid, 0) + 1
            read += length
        self.outputs.update(self._rids)
        self._shape = ForwardShape(prefill_tokens=0, decode_requests=len(self._rids), kv_tokens_read=read)

    def _note_extend(self, batch: Any, *, mixed: bool) -> None:
        self._mode = MIXED if mixed else PREFILL
        self._tokens = tuple(batch.extend_lens)
        self._prefix_tokens = tuple(batch.prefix_lens)
        chunked = self._scheduler.chunked_req
        self._chunked_rid = chunked.rid if chunked is not None else None
        # SGLang appends the decoding requests of a mixed batch, one token each.
        decoding = len(batch.decoding_reqs) if mixed and batch.decoding_reqs else 0
        read = 0
        for rid, computed, cached in zip(self._rids, self._tokens, self._prefix_tokens, strict=True):
            self._kv_tokens[rid] = length = cached + computed
            read += length
            if rid != self._chunked_rid:
                self.outputs[rid] += 1
        self._shape = ForwardShape(
            prefill_tokens=sum(self._tokens) - decoding, decode_requests=decoding, kv_tokens_read=read
        )

    def _forward_ns(self) -> int:
        return self.idle_step_ns if self._mode == IDLE else self._forward_time.forward_ns(self._shape)

    def _note_eviction(self, result: Any, params: Any) -> None:
        self._evict_calls += 1
        self._evict_asked += probes.tokens_asked(params)
        self._evict_given += probes.tokens_given(result)

    def _note_retraction(self, result: Any, _batch: Any) -> None:
        # (retracted requests, new estimate of the token ratio, requests to abort) in every release.
        for req in result[0]:
            self._retracted.append(req.rid)
            self._retracted_tokens += self._kv_tokens.pop(req.rid, 0)


def _size(tree: Any, name: str) -> int:
    """Tokens of one part of the cache; hybrid caches tell the full-attention part under a longer name."""
    value = getattr(tree, name)()
    if isinstance(value, tuple):
        value = value[0]
    return int(value)


def _batch_class(scheduler: Any) -> type:
    import importlib

    module = importlib.import_module("sglang.srt.managers.schedule_batch")
    batch_class: type = module.ScheduleBatch
    return batch_class
