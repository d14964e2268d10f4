"""`SGLangEngine`: the real scheduler behind `exhausters.engine.api.Engine`."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import Any

from exhausters.engine.api import (
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
from exhausters.engine.sglang import admission, batches, observation, outputs
from exhausters.engine.sglang import request_messages as messages
from exhausters.engine.sglang.adapter_slots import SGLangAdapterSlots, adapters_in, open_adapter_slots
from exhausters.engine.sglang.carryover import Carryover
from exhausters.engine.sglang.draft_script import DraftScript
from exhausters.engine.sglang.drafts import SGLangDrafts, open_drafts
from exhausters.engine.sglang.facts import facts, source_folders
from exhausters.engine.sglang.grammars import Grammars, waiting_for_grammar
from exhausters.engine.sglang.holdings import Holders
from exhausters.engine.sglang.host_pool import SGLangHostPool, open_host_pool
from exhausters.engine.sglang.idle_checks import set_idle_checks
from exhausters.engine.sglang.import_watch import imported_sources
from exhausters.engine.sglang.inbox import Inbox
from exhausters.engine.sglang.kv_pool import SGLangKvPool
from exhausters.engine.sglang.mamba_pool import SGLangMambaPool, open_mamba_pool
from exhausters.engine.sglang.page_tables import PageTables
from exhausters.engine.sglang.pools import PoolReader
from exhausters.engine.sglang.prefix_tree import SGLangTree
from exhausters.engine.sglang.requests import SGLangRequest, iter_requests, microbatches
from exhausters.engine.sglang.rooms import Rooms
from exhausters.engine.sglang.row_pool import SGLangRowPool
from exhausters.engine.sglang.sessions import Sessions
from exhausters.engine.sglang.transfer_queues import QueueReader, open_queues
from exhausters.engine.sglang.transfers import SGLangTransfers
from exhausters.engine.sglang.window_tokens import SGLangWindowPool, open_window_pool
from exhausters.errors import UnsupportedSettingError
from exhausters.workloads import DEFAULT_TEXT, EmittedText


class SGLangEngine:
    """One scheduler of SGLang's.

    Attributes:
        native: the scheduler.
        kv_pool, row_pool, tree: its resources.
    """

    def __init__(
        self,
        scheduler: Any,
        *,
        inbox: Inbox | None = None,
        text: EmittedText = DEFAULT_TEXT,
        rooms: Rooms | None = None,
    ) -> None:
        """Wrap `scheduler`.

        Args:
            scheduler: SGLang's scheduler; may still be in its constructor.
            inbox: what it receives from.
            text: what the null model emits.
            rooms: those of its null transfer engine; None for a scheduler that runs alone.
        """
        self.native = scheduler
        self.kv_pool = SGLangKvPool(scheduler)
        self.row_pool = SGLangRowPool(scheduler)
        self.tree = SGLangTree(scheduler, lambda: self._submitted)
        self._inbox = Inbox() if inbox is None else inbox
        self._text = text
        self._rooms = rooms
        # With their outputs, which are known: cores without a walk are pinned through these sequences.
        self._submitted: list[array[int]] = []
        self._carryover: Carryover | None = None
        self._grammars = Grammars(scheduler)
        self._sessions = Sessions(scheduler, self._inbox.put)
        # The batch that runs next, or runs: no queue of the scheduler's has it yet.
        self._batch: Any = None

    # Made when they are first asked for: while the hook is made the scheduler's constructor still runs.

    @cached_property
    def _holders(self) -> Holders:
        return Holders(self.native)

    @cached_property
    def _pools(self) -> PoolReader:
        return PoolReader(self.native, self._holders, adapters=self.adapter_slots)

    @cached_property
    def host_pool(self) -> SGLangHostPool | None:
        """HiCache's pages in host memory."""
        return open_host_pool(self.native)

    @cached_property
    def window_pool(self) -> SGLangWindowPool | None:
        """The tokens of sliding-window layers."""
        return open_window_pool(self.native)

    @cached_property
    def mamba_pool(self) -> SGLangMambaPool | None:
        """The slots of recurrent states."""
        return open_mamba_pool(self.native, self._holders)

    @cached_property
    def adapter_slots(self) -> SGLangAdapterSlots | None:
        """The slots of LoRA adapters."""
        return open_adapter_slots(self.native)

    @cached_property
    def _queues(self) -> QueueReader | None:
        return open_queues(self.native)

    @cached_property
    def transfers(self) -> SGLangTransfers | None:
        """What it exchanges with the other engine of a pair."""
        if self._rooms is None or self._queues is None:
            return None
        return SGLangTransfers(self.native, self._queues, self._rooms, self._holders)

    @cached_property
    def drafts(self) -> SGLangDrafts | None:
        """What its speculative worker drafts."""
        return open_drafts(self.native)

    @cached_property
    def _slots(self) -> PageTables:
        return PageTables(self.native, self._holders)

    @property
    def is_overlapped(self) -> bool:
        """Whether SGLang's overlap loop runs."""
        return bool(getattr(self.native, "enable_overlap", False))

    def snapshot(self) -> PoolSnapshot:
        """How full the pools are now."""
        return self._pools.snapshot()

    def rids_of(self, native: Any) -> tuple[str, ...]:
        """Requests of a `ScheduleBatch`."""
        return tuple([req.rid for req in native.reqs])

    def view_batch(self, native: Any) -> BatchView:
        """The batch that is about to run."""
        self._batch = native
        if DraftScript.current is not None:
            DraftScript.current.batch = native
        view = batches.view_batch(self.native, native, self.drafts)
        return view if self.adapter_slots is None else replace(view, adapters=adapters_in(native.reqs))

    def batch_requests(self, native: Any) -> list[SGLangRequest]:
        """The requests of a batch."""
        return [SGLangRequest(req) for req in native.reqs]

    def find_request(self, rid: str) -> SGLangRequest | None:
        """A request that a queue or batch holds, or None."""
        for req in iter_requests(self.native):
            if req.rid == rid:
                return SGLangRequest(req)
        return None

    def active_requests(self) -> list[Any]:
        """Every request object that a queue or batch holds, once."""
        return list({id(req): req for req in iter_requests(self.native)}.values())

    def output_limits(self) -> dict[str, int]:
        """Tokens that each of them may emit: SGLang writes its own limit over the one that was asked for."""
        limits = {req.rid: req.sampling_params.max_new_tokens for req in iter_requests(self.native)}
        return {str(rid): int(limit) for rid, limit in limits.items() if limit is not None}

    def waiting_rids(self) -> list[str]:
        """The waiting queue, and who holds no pages in the queues of a pair."""
        waiting = [req.rid for req in self.native.waiting_queue]
        return waiting if self._queues is None else [*self._queues.queues().not_admitted, *waiting]

    def waiting_count(self) -> int:
        """Length of the waiting queue."""
        return len(self.native.waiting_queue)

    def grammar_rids(self) -> list[str]:
        """The queue of those that wait for their grammar."""
        return [req.rid for req in waiting_for_grammar(self.native)]

    def running_rids(self) -> list[str]:
        """The running batch."""
        running = self.native.running_batch
        return [req.rid for req in running.reqs] if running is not None else []

    def chunked_rid(self) -> str | None:
        """The request that is being prefilled in chunks."""
        chunked = self.native.chunked_req
        return chunked.rid if chunked is not None else None

    def last_batch(self) -> LastBatch | None:
        """The batch that ran last."""
        return batches.last_batch(self.native)

    def is_idle(self) -> bool:
        """Whether nothing waits, runs, is transferred, or is being prefilled in chunks."""
        scheduler = self.native
        running = scheduler.running_batch
        return (
            scheduler.chunked_req is None
            and len(scheduler.waiting_queue) == 0
            and not waiting_for_grammar(scheduler)
            and (running is None or running.is_empty())
            and (self._queues is None or not any(self._queues.requests()))
            and all(batch.is_empty() for batch in microbatches(scheduler))
        )

    def is_fully_idle(self) -> bool:
        """`is_idle`, and the last batch has nothing left to be processed either."""
        last = self.native.last_batch
        return self.is_idle() and (last is None or last.is_empty())

    def is_drained(self) -> bool:
        """SGLang's own `is_fully_idle`; before March 2026 it had a part of it, which a flush asks for."""
        scheduler = self.native
        if hasattr(scheduler, "is_fully_idle"):
            return bool(scheduler.is_fully_idle())
        return self.is_idle() and bool(scheduler._is_no_request())

    def is_paused(self) -> bool:
        """Whether generation is paused."""
        return bool(self.native._engine_paused)

    def demand(self) -> Demand:
        """What waits and runs may still take."""
        return admission.demand(self.native)

    def least_demand_tokens(self) -> int:
        """What the first of the queue and the running requests may take."""
        return admission.least_demand_tokens(self.native)

    def is_marked_full(self) -> bool:
        """Whether `batch_is_full` is set on the running batch."""
        running = self.native.running_batch
        return running is not None and bool(running.batch_is_full)

    def why_held_back(self) -> str:
        """Which of SGLang's switches may hold requests back."""
        return admission.why_held_back(self.native)

    def retracts_on_purpose(self) -> bool:
        """Whether SGLang's test switch for retractions is on."""
        return admission.retracts_on_purpose()

    def slot_faults(self) -> tuple[SlotFault, ...]:
        """What is wrong with the page tables of all that live."""
        return self._slots.faults(self._batch)

    def why_unordered(self) -> str:
        """Which policy or switch of SGLang's may change the order of arrival."""
        return admission.why_unordered(self.native)

    def waiting_priorities(self) -> dict[str, int | None]:
        """Priorities of the waiting queue, where they are in use."""
        return admission.waiting_priorities(self.native)

    def clear_full_mark(self) -> None:
        """Set `batch_is_full` back."""
        self.native.running_batch.batch_is_full = False

    def cached_prefixes(self) -> dict[str, tuple[int, object | None]]:
        """Tokens of each request that the tree owns, and its node; those of sessions as well."""
        return {**self._holders.cached_prefixes(), **self._sessions.cached_prefixes(self._holders)}

    def submit(self, submission: Submission) -> None:
        """Send a request."""
        if submission.grammar_steps is not None:
            text = self._grammars.text_for(submission.grammar_steps, submission.rid)
            submission = replace(submission, sampling={**submission.sampling, "regex": text})
        request = messages.generate_request(submission, room=self._open_room(submission))
        if submission.lora_path is not None and self.adapter_slots is not None:
            self.adapter_slots.know(submission.lora_path)
        self.note_submission(submission)
        self._inbox.put(request)

    def note_submission(self, submission: Submission) -> None:
        """Know a request that the first rank receives."""
        outputs = self._text.after(submission.input_ids, submission.max_new_tokens)
        self._submitted.append(submission.input_ids + outputs)
        if DraftScript.current is not None:
            DraftScript.current.note(submission)

    def open_session(self, session_id: str, *, is_streaming: bool) -> None:
        """Open a session."""
        self._sessions.open(session_id, is_streaming=is_streaming)

    def close_session(self, session_id: str) -> None:
        """Close a session."""
        self._sessions.close(session_id)

    def open_sessions(self) -> tuple[str, ...]:
        """Sessions that are open."""
        return self._sessions.open_ids

    def _open_room(self, submission: Submission) -> int | None:
        """The room in which it meets the other engine of a pair; None for a scheduler that runs alone."""
        if self._rooms is not None:
            return self._rooms.add(
                submission.rid,
                submission.transfer,
                kv_tokens=len(submission.input_ids),
                first_token=self._text.after(submission.input_ids, 1)[0],
            )
        if submission.transfer is not None:
            raise UnsupportedSettingError(
                f"{submission.rid}: {submission.transfer}: this engine transfers nothing; boot it with "
                'server_args.disaggregation_mode = ["prefill"] or ["decode"], or drop the transfers'
            )
        return None

    def pause(self, mode: str) -> None:
        """Pause generation; `mode` is `retract` or `in_place`."""
        self._inbox.put(messages.pause_generation(mode))

    def resume(self, *, empty_device_cache: bool = False) -> None:
        """Resume generation."""
        self._inbox.put(messages.continue_generation(empty_device_cache))

    def abort(self, rid: str) -> None:
        """Abort one request."""
        self._inbox.put(messages.abort(rid=rid))

    def abort_all(self) -> None:
        """Abort every request."""
        self._inbox.put(messages.abort(abort_all=True))

    def flush(self) -> None:
        """Empty the tree cache and the pools."""
        self._inbox.put(messages.flush_cache())

    @property
    def has_unreceived(self) -> bool:
        """Whether messages wait in the inbox."""
        return len(self._inbox) > 0

    def set_idle_checks(self, enabled: bool) -> None:
        """Turn SGLang's own checks of an idle engine on or off."""
        set_idle_checks(self.native, enabled)

    def begin_script(self) -> None:
        """Forget what earlier scripts submitted and ran."""
        self._submitted.clear()
        self._batch = None
        if self._rooms is not None:
            self._rooms.clear()
        if DraftScript.current is not None:
            DraftScript.current.forget()

    def restore_carryover(self) -> None:
        """Put counters back; the first call only remembers them."""
        if self._carryover is None:
            self._carryover = Carryover(self.native)
        self._carryover.restore()
        if self.adapter_slots is not None:
            self.adapter_slots.forget()
        self._grammars.forget()

    def facts(self) -> BootFacts:
        """What was booted."""
        return facts(self.native)

    def source_folders(self) -> SourceFolders:
        """Where SGLang was imported from."""
        return source_folders()

    def imported_sources(self) -> ImportedSources:
        """Files of the target that were imported until now."""
        return imported_sources()

    def watch(self, listener: EngineListener) -> Callable[[], None]:
        """Tell `listener` of evictions and retractions until the result is called."""
        return observation.watch(self.native, self._holders, listener)

    def watch_outputs(self, listener: OutputListener) -> Callable[[], None]:
        """Tell `listener` of each request that ends in a batch."""
        return outputs.watch_outputs(self.native, listener)

    def phase_points(self) -> tuple[MethodPoint, ...]:
        """The methods that are phases of a step."""
        return observation.phase_points(self.native)

    def matching_point(self) -> MethodPoint:
        """The method that matches a prefix."""
        return observation.matching_point(self.native)
