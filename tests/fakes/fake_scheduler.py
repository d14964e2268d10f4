"""A small scheduler with the surface of SGLang's that the harness touches. For unit tests only.

It decides in its own plain way (first come first served; admit what fits now; newest first to be
retracted), so nothing measured on it says anything about SGLang. What it promises is written down in
`test_fake_scheduler_contract.py`, which runs the same scripts on it and on the real scheduler.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from exhausters.engine.sglang.seams import Inbox
from tests.fakes import fake_messages as fm
from tests.fakes.fake_radix_cache import FakeEvictParams, FakeRadixCache
from tests.fakes.pressure_fakes import FakeAllocator, FakeNewRowPool, Slots


class FakeForwardMode(Enum):
    """Forward modes by SGLang's names."""

    EXTEND = auto()
    DECODE = auto()
    MIXED = auto()

    def is_extend(self) -> bool:
        return self is not FakeForwardMode.DECODE

    def is_decode(self) -> bool:
        return self is FakeForwardMode.DECODE

    def is_mixed(self) -> bool:
        return self is FakeForwardMode.MIXED


@dataclass(eq=False)
class FakeReq:
    """A request. `slots` are whole pages; the first `cache_protected_len` of them belong to the tree."""

    rid: str
    origin_input_ids: Sequence[int]
    max_new_tokens: int
    output_ids: list[int] = field(default_factory=list)
    slots: Slots = field(default_factory=Slots)
    cache_protected_len: int = 0
    kv_committed_len: int = 0
    req_pool_idx: int | None = None
    last_node: Any = None
    receipt: Any = None
    is_aborted: bool = False
    is_done: bool = False

    @property
    def kv_allocated_len(self) -> int:
        return self.kv_committed_len

    @property
    def tokens(self) -> list[int]:
        return [*self.origin_input_ids, *self.output_ids]

    def finished(self) -> bool:
        return self.is_done


@dataclass(eq=False)
class FakeBatch:
    """Requests that run together, by SGLang's names."""

    scheduler: FakeEngineScheduler
    reqs: list[FakeReq] = field(default_factory=list)
    forward_mode: FakeForwardMode | None = None
    prefix_lens: list[int] = field(default_factory=list)
    extend_lens: list[int] = field(default_factory=list)
    decoding_reqs: list[FakeReq] | None = None

    def is_empty(self) -> bool:
        return not self.reqs

    def retract_decode(self) -> tuple[list[FakeReq], float, list[FakeReq]]:
        """Put the newest requests back until the others can decode; abort the last when it cannot.

        Returns:
            Retracted requests, a token ratio that nothing reads here, aborted requests.
        """
        retracted: list[FakeReq] = []
        while len(self.reqs) > 1 and not self.scheduler.has_decode_pages(self.reqs):
            req = self.reqs.pop()
            self.scheduler.give_back_kv(req)
            retracted.append(req)
        aborted = [] if self.scheduler.has_decode_pages(self.reqs) else [self.reqs.pop()]
        return retracted, 1.0, aborted


class FakeRowPool(FakeNewRowPool):
    """Request rows that know how many there are and can be cleared."""

    def __init__(self, *, row_count: int) -> None:
        super().__init__(row_count=row_count)
        self.size = row_count


class FakeEngineScheduler:
    """One engine: queue, batches, pools, tree, and an event loop of one `iterate` after another.

    Attributes:
        scripted_scheduler_hook: told of each iteration and of each batch, as by SGLang.
        exhausters_inbox: what it receives from, right after the hook's step.
    """

    def __init__(
        self,
        *,
        page_size: int = 16,
        max_total_tokens: int = 4096,
        max_running_requests: int = 64,
        chunked_prefill_size: int = 256,
        emitted_token: int = 5,
    ) -> None:
        self.page_size = page_size
        self.token_to_kv_pool_allocator = FakeAllocator(
            page_count=max_total_tokens // page_size, page_size=page_size
        )
        self.req_to_token_pool = FakeRowPool(row_count=max_running_requests)
        self.tree_cache = FakeRadixCache(self.token_to_kv_pool_allocator)
        self.chunked_prefill_size = chunked_prefill_size
        # A class of its own, because probes are put on the class and engines may run side by side in threads.
        self._batch = type("FakeBatch", (FakeBatch,), {})
        self.waiting_queue: list[FakeReq] = []
        self.running_batch: FakeBatch = self._batch(self)
        self.last_batch: FakeBatch | None = None
        self.chunked_req: FakeReq | None = None
        self._engine_paused = False
        self.exhausters_inbox = Inbox()
        self.scripted_scheduler_hook: Any = None
        self._emitted_token = emitted_token

    def iterate(self) -> None:
        """One iteration of the event loop."""
        self.scripted_scheduler_hook.step()
        while len(self.exhausters_inbox):
            self._receive(self.exhausters_inbox.recv_pyobj())
        if self._engine_paused:
            return
        batch = self.get_next_batch_to_run()
        if batch is not None:
            self.run_batch(batch)
            self.process_batch_result(batch)
        self.last_batch = batch

    def run_batch(self, batch: FakeBatch) -> None:
        """Tell the hook; there is nothing to compute."""
        self.scripted_scheduler_hook.on_run_batch(batch)

    def is_fully_idle(self) -> bool:
        last = self.last_batch
        return (
            self.running_batch.is_empty()
            and self.chunked_req is None
            and (last is None or last.is_empty())
            and not self.waiting_queue
        )

    def has_decode_pages(self, reqs: list[FakeReq]) -> bool:
        """Whether each can have one more token, after evicting what is needed and possible."""
        pages = sum(req.kv_committed_len == len(req.slots) for req in reqs)
        return self._make_room(pages * self.page_size)

    def give_back_kv(self, req: FakeReq) -> None:
        """Free what is the request's own, its row included, and unlock what is the tree's."""
        self.token_to_kv_pool_allocator.free(Slots(req.slots[req.cache_protected_len :]))
        self._leave_pools(req)

    def _leave_pools(self, req: FakeReq) -> None:
        if req.receipt is not None:
            self.tree_cache.dec_lock_ref(req.last_node, req.receipt)
        if req.req_pool_idx is not None:
            self.req_to_token_pool.free_rows([req.req_pool_idx])
        req.receipt = req.last_node = req.req_pool_idx = None
        req.slots, req.cache_protected_len, req.kv_committed_len = Slots(), 0, 0

    def _receive(self, message: Any) -> None:
        match message:
            case fm.FakeGenerate(rid, input_ids, max_new_tokens):
                self.waiting_queue.append(FakeReq(rid, input_ids, max_new_tokens))
            case fm.FakePause(mode):
                self._pause(mode)
            case fm.FakeContinue():
                self._engine_paused = False
            case fm.FakeAbort(rid, abort_all):
                self._abort("" if abort_all else rid)
            case fm.FakeFlush():
                self._flush()
            case _:
                raise TypeError(f"{message!r}: not a message of fake_messages")

    def _pause(self, mode: str) -> None:
        self._engine_paused = True
        if mode == "in_place":
            return
        for req in self._admitted():
            self.give_back_kv(req)
            self.waiting_queue.append(req)
        self.running_batch, self.last_batch, self.chunked_req = self._batch(self), None, None

    def _abort(self, prefix: str) -> None:
        self.waiting_queue = [req for req in self.waiting_queue if not req.rid.startswith(prefix)]
        for req in self._admitted():
            # Like SGLang: it runs one more forward, and ends then.
            req.is_aborted = req.is_aborted or req.rid.startswith(prefix)

    def _flush(self) -> None:
        if self.is_fully_idle():
            self.tree_cache.reset()
            self.token_to_kv_pool_allocator.flush()
            self.last_batch = None

    def _admitted(self) -> list[FakeReq]:
        """Unfinished requests that hold KV, oldest first."""
        last = self.last_batch.reqs if self.last_batch is not None else []
        chunked = [self.chunked_req] if self.chunked_req is not None else []
        unique = dict.fromkeys([*self.running_batch.reqs, *last, *chunked])
        return [req for req in unique if not req.finished()]

    def get_next_batch_to_run(self) -> FakeBatch | None:
        """Merge what was prefilled, then form a prefill batch if anything can be admitted, else a decode."""
        if self.chunked_req is not None and self.chunked_req.is_aborted:
            self.give_back_kv(self.chunked_req)
            self.chunked_req = None
        last = self.last_batch
        if last is not None and last.forward_mode is FakeForwardMode.EXTEND:
            last.reqs = [req for req in last.reqs if req is not self.chunked_req]
            running = self._batch(self, [*self.running_batch.reqs, *last.reqs])
            self.running_batch = running
        self.running_batch.reqs = [
            req for req in self.running_batch.reqs if not req.finished() and req.req_pool_idx is not None
        ]
        return self._prefill_batch() or self._decode_batch()

    def _prefill_batch(self) -> FakeBatch | None:
        batch = self._batch(self, forward_mode=FakeForwardMode.EXTEND)
        budget = self.chunked_prefill_size if self.chunked_prefill_size > 0 else 1 << 60
        if self.chunked_req is not None:
            budget -= self._extend(batch, self.chunked_req, budget)
        # One chunked request at a time, and nobody overtakes: first come, first served.
        while self.waiting_queue and budget > 0 and self.chunked_req is None:
            if not self._admit(self.waiting_queue[0]):
                break
            budget -= self._extend(batch, self.waiting_queue.pop(0), budget)
        return None if batch.is_empty() else batch

    def _admit(self, req: FakeReq) -> bool:
        """Give the request a row and its cached prefix, if the rest of its tokens and one more page fit."""
        tree, tokens = self.tree_cache, req.tokens
        if self.req_to_token_pool.available_size() == 0:
            return False
        slots, node = tree.match_prefix(tokens[:-1])  # one token at least must be computed
        receipt = tree.inc_lock_ref(node)
        room = self.token_to_kv_pool_allocator.available_size() + tree.evictable_size()
        if room < self._page_ceil(len(tokens) - len(slots)) + self.page_size:
            tree.dec_lock_ref(node, receipt)
            return False
        rows = self.req_to_token_pool.alloc_rows(1)
        assert rows is not None
        req.req_pool_idx, req.last_node, req.receipt = rows[0], node, receipt
        req.slots, req.cache_protected_len, req.kv_committed_len = slots, len(slots), len(slots)
        return True

    def _extend(self, batch: FakeBatch, req: FakeReq, budget: int) -> int:
        """Put the request's next tokens into the batch; a chunk that finds no page is left out (parked)."""
        left = len(req.tokens) - req.kv_committed_len
        # A chunk ends at a page, so that the next one begins a page.
        count = left if left <= budget else budget - budget % self.page_size
        self.chunked_req = req if count < left else None
        if not self._grow(req, count):
            self.chunked_req = req
            return 0
        batch.reqs.append(req)
        batch.prefix_lens.append(req.kv_committed_len - count)
        batch.extend_lens.append(count)
        return count

    def _decode_batch(self) -> FakeBatch | None:
        running = self.running_batch
        if running.is_empty():
            return None
        if not self.has_decode_pages(running.reqs):
            retracted, _, aborted = running.retract_decode()
            self.waiting_queue.extend(retracted)
            for req in aborted:
                self.give_back_kv(req)
                req.is_done = True
        for req in running.reqs:
            self._grow(req, 1)
        running.forward_mode = FakeForwardMode.DECODE
        return None if running.is_empty() else running

    def _grow(self, req: FakeReq, count: int) -> bool:
        need = self._page_ceil(req.kv_committed_len + count) - len(req.slots)
        if need > 0:
            if not self._make_room(need):
                return False
            slots = self.token_to_kv_pool_allocator.alloc(need)
            assert slots is not None
            req.slots.extend(slots)
        req.kv_committed_len += count
        return True

    def _make_room(self, tokens: int) -> bool:
        """Evict what is short; whether that many tokens are free now."""
        short = tokens - self.token_to_kv_pool_allocator.available_size()
        if short > 0:
            self.tree_cache.evict(FakeEvictParams(num_tokens=short))
        return self.token_to_kv_pool_allocator.available_size() >= tokens

    def process_batch_result(self, batch: FakeBatch) -> None:
        """Emit a token for each request whose prompt is complete; end those that have all of theirs."""
        for req in batch.reqs:
            if req is self.chunked_req:
                continue
            req.output_ids.append(self._emitted_token)
            if req.is_aborted or len(req.output_ids) >= req.max_new_tokens:
                self._finish(req)

    def _finish(self, req: FakeReq) -> None:
        whole = req.kv_committed_len - req.kv_committed_len % self.page_size
        if self.tree_cache.disable:
            whole = req.cache_protected_len
        self.tree_cache.insert(req.tokens[:whole], Slots(req.slots[:whole]))
        self.token_to_kv_pool_allocator.free(Slots(req.slots[whole:]))
        self._leave_pools(req)
        req.is_done = True

    def _page_ceil(self, tokens: int) -> int:
        return -(-tokens // self.page_size) * self.page_size
