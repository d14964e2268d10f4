"""`FakeEngine`: the fake scheduler behind `exhausters.engine.api.Engine`."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from exhausters.engine.api import (
    DECODE,
    EVICT,
    FORM_BATCH,
    MATCH,
    PREFILL,
    PROCESS_RESULT,
    RETRACT,
    RUN,
    BatchView,
    BootFacts,
    Demand,
    EngineListener,
    ImportedSources,
    LastBatch,
    MethodPoint,
    OutputListener,
    PoolSnapshot,
    SlotFault,
    SourceFolders,
    Submission,
)
from exhausters.engine.fake.page_tables import slot_faults
from exhausters.engine.fake.page_trie import PageTrie
from exhausters.engine.fake.pools import PagePool, RowTable, StateSlots
from exhausters.engine.fake.requests import FakeBatch, FakeRequest, Retracted
from exhausters.engine.fake.scheduler import FakeScheduler
from exhausters.engine.wrap import wrap_calls
from exhausters.errors import UnsupportedSettingError

# Forward modes by the names that scripts know from SGLang.
_ENGINE_MODES = {PREFILL: "EXTEND", DECODE: "DECODE"}


@dataclass(frozen=True, slots=True)
class FakeRequestView:
    """`exhausters.engine.api.RequestView` over a `FakeRequest`."""

    native: FakeRequest

    @property
    def rid(self) -> str:
        """Its id."""
        return self.native.rid

    @property
    def is_finished(self) -> bool:
        """Whether it has ended."""
        return self.native.is_finished

    @property
    def prompt_tokens(self) -> int:
        """Length of its prompt."""
        return len(self.native.prompt)

    @property
    def output_tokens(self) -> int:
        """Tokens it has emitted."""
        return len(self.native.outputs)

    @property
    def kv_committed_tokens(self) -> int:
        """Tokens whose KV is computed."""
        return self.native.computed_tokens

    @property
    def kv_allocated_tokens(self) -> int:
        """The same: pages are allocated in the step that computes them."""
        return self.native.computed_tokens

    @property
    def tree_node(self) -> object | None:
        """The node it has locked."""
        return self.native.node


class FakeEngine:
    """One fake scheduler.

    Attributes:
        native: the scheduler.
        is_overlapped: always False.
        host_pool: None: there is no second tier, and a switch that asks for one is refused.
        window_pool: None: no layer has a sliding window.
        adapter_slots: None, likewise.
        transfers: None: it runs alone, and a switch that asks for another role is refused.
        drafts: None: it drafts nothing, and a switch or script that asks for it is refused.
    """

    is_overlapped = False
    host_pool = None
    window_pool = None
    adapter_slots = None
    transfers = None
    drafts = None

    def __init__(self, scheduler: FakeScheduler) -> None:
        self.native = scheduler
        # The batch that runs next: no queue has it yet.
        self._batch: FakeBatch | None = None
        # It imports nothing of a target; tests put in what a real engine would report.
        self.sources = ImportedSources(files={})

    def imported_sources(self) -> ImportedSources:
        """What was put in; no file by default."""
        return self.sources

    @property
    def kv_pool(self) -> PagePool:
        """The KV pages."""
        return self.native.pages

    @property
    def row_pool(self) -> RowTable:
        """The request rows."""
        return self.native.rows

    @property
    def mamba_pool(self) -> StateSlots | None:
        """The slots of recurrent states."""
        return self.native.states

    @property
    def tree(self) -> PageTrie:
        """The prefix cache."""
        return self.native.trie

    def snapshot(self) -> PoolSnapshot:
        """How full the pools are now."""
        holders = [request for request in self.native.holders() if request.row is not None]
        own_pages = sum(len(request.pages) - request.tree_pages for request in holders)
        return PoolSnapshot(
            free_tokens=self.kv_pool.available_tokens(),
            evictable_tokens=self.tree.evictable_tokens(),
            protected_tokens=self.tree.protected_tokens(),
            in_use_tokens=own_pages * self.kv_pool.page_size,
            free_rows=self.row_pool.available_rows(),
            rows_in_use=len(holders),
            mamba_free_slots=0 if self.mamba_pool is None else self.mamba_pool.available_slots(),
            mamba_in_use_slots=sum(request.state_slot is not None for request in holders),
        )

    def rids_of(self, native: Any) -> tuple[str, ...]:
        """Its retraction is told no batch: it cuts the running one."""
        return tuple(self.running_rids())

    def view_batch(self, native: FakeBatch) -> BatchView:
        """The batch that is about to run."""
        self._batch = native
        is_decode = native.mode == DECODE
        return BatchView(
            mode=native.mode,
            rids=tuple([request.rid for request in native.requests]),
            tokens=(1,) * len(native.requests) if is_decode else tuple(native.tokens),
            prefix_tokens=() if is_decode else tuple(native.prefix_tokens),
            chunked_rid=self.chunked_rid(),
        )

    def batch_requests(self, native: FakeBatch) -> list[FakeRequestView]:
        """The requests of a batch."""
        return [FakeRequestView(one) for one in native.requests]

    def find_request(self, rid: str) -> FakeRequestView | None:
        """A request that a queue or batch holds, or None."""
        return next((FakeRequestView(one) for one in self._requests() if one.rid == rid), None)

    def active_requests(self) -> list[Any]:
        """Every request that a queue or batch holds, once."""
        return list(dict.fromkeys(self._requests()))

    def output_limits(self) -> dict[str, int]:
        """Tokens that each of them may emit."""
        return {request.rid: request.max_new_tokens for request in self._requests()}

    def waiting_rids(self) -> list[str]:
        """The queue."""
        return [request.rid for request in self.native.queue]

    def waiting_count(self) -> int:
        """Length of the queue."""
        return len(self.native.queue)

    def grammar_rids(self) -> list[str]:
        """None: there are no grammars here."""
        return []

    def running_rids(self) -> list[str]:
        """The running batch."""
        return [request.rid for request in self.native.running.requests]

    def chunked_rid(self) -> str | None:
        """The request that is being prefilled in chunks."""
        return None if self.native.chunked is None else self.native.chunked.rid

    def last_batch(self) -> LastBatch | None:
        """The batch that ran last."""
        last = self.native.last
        if last is None:
            return None
        rids = tuple([request.rid for request in last.requests])
        return LastBatch(rids=rids, mode=last.mode, engine_mode=_ENGINE_MODES.get(last.mode))

    def is_idle(self) -> bool:
        """Whether nothing waits, runs, or is being prefilled in chunks."""
        return self.native.is_idle()

    def is_fully_idle(self) -> bool:
        """`is_idle`, and the last batch is empty too."""
        return self.native.is_fully_idle()

    def is_drained(self) -> bool:
        """The same: there is no more to ask for."""
        return self.native.is_fully_idle()

    def is_paused(self) -> bool:
        """Whether generation is paused."""
        return self.native.is_paused

    def demand(self) -> Demand:
        """What waits and runs may still take."""
        page, running = self.kv_pool.page_size, self.native.running.requests
        most = max(self.native.queue, key=lambda one: _tokens_to_come(one, page), default=None)
        return Demand(
            waiting_rid="" if most is None else most.rid,
            waiting_tokens=0 if most is None else _tokens_to_come(most, page) + page,
            waiting_window_tokens=0,
            reserved_window_tokens=0,
            reserved_tokens=sum(one.max_new_tokens + page for one in running),
            running=len(running),
            running_limit=self.row_pool.total_rows,
        )

    def least_demand_tokens(self) -> int:
        """What the first of the queue may take."""
        queue = self.native.queue
        return _tokens_to_come(queue[0], self.kv_pool.page_size) if queue else 0

    def is_marked_full(self) -> bool:
        """Whether a test has set the mark."""
        return self.native.is_marked_full

    def why_held_back(self) -> str:
        """It has no switch that holds requests back."""
        return ""

    def retracts_on_purpose(self) -> bool:
        """It retracts for want of pages alone."""
        return False

    def slot_faults(self) -> tuple[SlotFault, ...]:
        """What is wrong with the pages of all that live."""
        return slot_faults(self.native, self._batch)

    def why_unordered(self) -> str:
        """It serves its queue in order."""
        return ""

    def waiting_priorities(self) -> dict[str, int | None]:
        """It knows none."""
        return dict.fromkeys((request.rid for request in self.native.queue), None)

    def clear_full_mark(self) -> None:
        """Take off the mark."""
        self.native.is_marked_full = False

    def cached_prefixes(self) -> dict[str, tuple[int, object | None]]:
        """Tokens of the pages that a request has of the trie, and the node it has locked."""
        size = self.kv_pool.page_size
        return {one.rid: (one.tree_pages * size, one.node) for one in self.native.holders()}

    def submit(self, submission: Submission) -> None:
        """Send a request; of `sampling` only `max_new_tokens` is read."""
        if submission.grammar_steps is not None:
            raise UnsupportedSettingError(f"request {submission.rid!r} has a grammar: there are none here")
        if submission.transfer is not None:
            raise UnsupportedSettingError(
                f"{submission.rid}: {submission.transfer}: the fake engine transfers nothing; drop it"
            )
        self._send(
            partial(self.native.receive, submission.rid, submission.input_ids, submission.max_new_tokens)
        )

    def open_session(self, session_id: str, *, is_streaming: bool) -> None:
        """Refuse: there are no sessions."""
        raise UnsupportedSettingError(f"session {session_id!r}: there are none here")

    def close_session(self, session_id: str) -> None:
        """Nothing to close."""

    def open_sessions(self) -> tuple[str, ...]:
        """None."""
        return ()

    def note_submission(self, submission: Submission) -> None:
        """Nothing is kept of requests: the tree can be walked."""

    def pause(self, mode: str) -> None:
        """Pause generation."""
        self._send(partial(self.native.pause, mode))

    def resume(self, *, empty_device_cache: bool = False) -> None:
        """Resume generation."""
        self._send(self.native.resume)

    def abort(self, rid: str) -> None:
        """Abort one request."""
        self._send(partial(self.native.abort, rid))

    def abort_all(self) -> None:
        """Abort every request."""
        self._send(partial(self.native.abort, ""))

    def flush(self) -> None:
        """Empty the prefix cache and the pool."""
        self._send(self.native.flush)

    @property
    def has_unreceived(self) -> bool:
        """Whether the inbox holds anything."""
        return len(self.native.inbox) > 0

    def set_idle_checks(self, enabled: bool) -> None:
        """There are none."""

    def begin_script(self) -> None:
        """Forget the batch that ran last."""
        self._batch = None

    def restore_carryover(self) -> None:
        """There are no counters that run on."""

    def facts(self) -> BootFacts:
        """What was booted."""
        return BootFacts(
            pid=os.getpid(),
            sglang_version="fake",
            python_version=platform.python_version(),
            torch_version="none",
            tree_cache=type(self.tree).__name__,
            tree_core="none",
            allocator=type(self.kv_pool).__name__,
            page_size=self.kv_pool.page_size,
            max_total_tokens=self.kv_pool.total_tokens,
            max_running_requests=self.row_pool.total_rows,
            overlap=self.is_overlapped,
            policy="fcfs",
            mamba_total_slots=0 if self.mamba_pool is None else self.mamba_pool.total_slots,
        )

    def source_folders(self) -> SourceFolders:
        """The fake scheduler is part of this package."""
        here = Path(__file__).resolve().parent
        return SourceFolders(root=str(here.parents[2]), watched=str(here))

    def watch(self, listener: EngineListener) -> Callable[[], None]:
        """Tell `listener` of evictions and retractions until the result is called."""

        def note_eviction(freed: int, asked: int) -> None:
            listener.on_eviction(asked_tokens=asked, freed_tokens=freed, window_freed_tokens=0)

        def note_retraction(result: Retracted, _: object) -> None:
            listener.on_retraction(own_tokens=result.own_tokens, aborted=len(result.aborted))

        with ExitStack() as wrappers:
            wrappers.callback(wrap_calls(self.tree, "evict", note_eviction))
            wrappers.callback(wrap_calls(self.native, "retract", note_retraction))
            return wrappers.pop_all().close

    def watch_outputs(self, listener: OutputListener) -> Callable[[], None]:
        """Tell `listener` of each request that ends in a batch."""

        def tell(_result: object, batch: FakeBatch) -> None:
            for one in batch.requests:
                if one.is_finished:
                    listener.on_finished(
                        rid=one.rid,
                        outputs=tuple(one.outputs),
                        prompt_tokens=len(one.prompt),
                        was_aborted=one.is_aborted,
                    )

        return wrap_calls(self.native, "process_result", tell)

    def phase_points(self) -> tuple[MethodPoint, ...]:
        """The methods that are phases of a step."""
        return (
            MethodPoint(owner=self.native, name="form_batch", phase=FORM_BATCH),
            MethodPoint(owner=self.native, name="run_batch", phase=RUN),
            MethodPoint(owner=self.native, name="process_result", phase=PROCESS_RESULT),
            MethodPoint(owner=self.tree, name="evict", phase=EVICT),
            MethodPoint(owner=self.native, name="retract", phase=RETRACT),
        )

    def matching_point(self) -> MethodPoint:
        """The method that matches a prefix."""
        return MethodPoint(owner=self.tree, name="match", phase=MATCH)

    def _send(self, message: Callable[[], None]) -> None:
        self.native.inbox.append(message)

    def _requests(self) -> Iterator[FakeRequest]:
        scheduler = self.native
        if scheduler.chunked is not None:
            yield scheduler.chunked
        yield from scheduler.queue
        yield from scheduler.running.requests
        if scheduler.last is not None:
            yield from scheduler.last.requests


def _tokens_to_come(request: FakeRequest, page: int) -> int:
    return -(-len(request.prompt) // page) * page + request.max_new_tokens
