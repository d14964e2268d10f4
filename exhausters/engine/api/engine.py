"""An engine as a whole: what is asked of it, how it acts, how it is watched, how it is booted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from exhausters.engine.api.parts import (
    AdapterSlots,
    Drafts,
    HostPool,
    KvPool,
    MambaPool,
    PrefixTree,
    RowPool,
    WindowPool,
)
from exhausters.engine.api.ranks import ONLY_RANK, Place, World
from exhausters.engine.api.records import (
    BatchView,
    BootFacts,
    Demand,
    ImportedSources,
    LastBatch,
    MethodPoint,
    PoolSnapshot,
    SlotFault,
    SourceFolders,
    Submission,
)
from exhausters.engine.api.transfers import Transfers
from exhausters.engine.settings import HostSettings
from exhausters.errors import UnsupportedSettingError


class RequestView(Protocol):
    """A request that a queue or batch of the engine holds, as it is now."""

    @property
    def rid(self) -> str:
        """Its id."""

    @property
    def native(self) -> Any:
        """The engine's own object, for scripts; the harness does not look into it."""

    @property
    def is_finished(self) -> bool:
        """Whether it has run to its end or was aborted."""

    @property
    def prompt_tokens(self) -> int:
        """Length of its prompt."""

    @property
    def output_tokens(self) -> int:
        """Tokens it has emitted, as far as the engine has processed them."""

    @property
    def kv_committed_tokens(self) -> int:
        """KV tokens whose values are final."""

    @property
    def kv_allocated_tokens(self) -> int:
        """KV tokens allocated to it; 0 when it holds none."""

    @property
    def tree_node(self) -> object | None:
        """Handle of the tree node at which its cached prefix ends."""


class EngineListener(Protocol):
    """Receives the engine's evictions and retractions while it is watched.

    Plain arguments instead of records: a record's constructor would run inside the counted phases.
    """

    def on_eviction(self, *, asked_tokens: int, freed_tokens: int, window_freed_tokens: int) -> None:
        """One eviction has run: the tokens it was asked for, and those it freed in both pools."""

    def on_retraction(self, *, own_tokens: Mapping[str, int], aborted: int) -> None:
        """Running requests were put back to the queue, because a decode step did not fit.

        Args:
            own_tokens: KV tokens of their own that they threw away, by request id, in order of retraction.
            aborted: requests that were given up, because retracting was not enough.
        """

    def on_preemption(self, *, own_tokens: Mapping[str, int]) -> None:
        """Running requests were put back to the queue for one of higher priority.

        Args:
            own_tokens: KV tokens of their own that they threw away, by request id.
        """


class OutputListener(Protocol):
    """Receives the outputs of requests as they end."""

    def on_finished(self, *, rid: str, outputs: Sequence[int], prompt_tokens: int, was_aborted: bool) -> None:
        """A request that ran in a batch has ended.

        Args:
            rid: its id.
            outputs: the token ids that its caller gets.
            prompt_tokens: length of the prompt that they were computed from: of a request that it refuses, as
                one that is too long, an engine may compute another prompt than it was given.
            was_aborted: it was ended from outside, and may have fewer than it asked for.
        """


class EngineHook(Protocol):
    """What an engine calls while its event loop runs."""

    def step(self) -> None:
        """An iteration begins; raises SystemExit to end the loop."""

    def on_run_batch(self, native: Any) -> None:
        """A batch, in the engine's own form, is about to run."""


class Engine(Protocol):
    """One booted scheduler."""

    @property
    def native(self) -> Any:
        """The scheduler's own object, for scripts; the harness does not look into it."""

    @property
    def kv_pool(self) -> KvPool:
        """The KV pages."""

    @property
    def host_pool(self) -> HostPool | None:
        """The cache's pages in host memory; None without such a tier."""

    @property
    def window_pool(self) -> WindowPool | None:
        """The tokens of sliding-window layers; None without such layers, or where they cannot be counted."""

    @property
    def mamba_pool(self) -> MambaPool | None:
        """The slots of recurrent states; None without such layers, or where they cannot be counted."""

    @property
    def adapter_slots(self) -> AdapterSlots | None:
        """The slots of adapters; None where it is booted without adapters."""

    @property
    def transfers(self) -> Transfers | None:
        """What it exchanges with the other engine of a disaggregated pair; None for one that runs alone."""

    @property
    def drafts(self) -> Drafts | None:
        """Its draft tokens; None where it does not decode speculatively."""

    @property
    def row_pool(self) -> RowPool:
        """The request rows."""

    @property
    def tree(self) -> PrefixTree:
        """The prefix cache."""

    @property
    def is_overlapped(self) -> bool:
        """Whether a step's result is processed one step later."""

    def snapshot(self) -> PoolSnapshot:
        """Return how full the pools are now."""

    def rids_of(self, native: Any) -> tuple[str, ...]:
        """Return the requests of a batch, in the engine's own form, that a retraction is about to cut.

        While a batch is formed they may be others than those of the running batch.
        """

    def view_batch(self, native: Any) -> BatchView:
        """Return the batch that the hook was given, as a record."""

    def batch_requests(self, native: Any) -> Sequence[RequestView]:
        """Return the requests of the batch that the hook was given."""

    # Questions about requests.

    def find_request(self, rid: str) -> RequestView | None:
        """Return a request that a queue or batch holds, or None."""

    def active_requests(self) -> list[Any]:
        """Return every request that a queue or batch holds, once, in the engine's own form."""

    def output_limits(self) -> dict[str, int]:
        """Return the tokens that each of them may emit, by request id: fewer than asked where it cuts short.

        A request without a limit is not among them.
        """

    def waiting_rids(self) -> list[str]:
        """Return the waiting queue, and those of a disaggregated pair that hold no pages yet."""

    def waiting_count(self) -> int:
        """Return the length of the waiting queue, without the other queues of a disaggregated pair."""

    def grammar_rids(self) -> list[str]:
        """Return those that wait for their grammar to be compiled, before they may wait in the queue."""

    def running_rids(self) -> list[str]:
        """Return the running batch."""

    def chunked_rid(self) -> str | None:
        """Return the request that is being prefilled in chunks, if any."""

    def last_batch(self) -> LastBatch | None:
        """Return the batch that ran last; None before the first, or when it was forgotten."""

    def is_idle(self) -> bool:
        """Whether nothing waits, in the queue or for a grammar, runs, or is being prefilled in chunks."""

    def is_fully_idle(self) -> bool:
        """`is_idle`, and the last batch has nothing left to be processed either."""

    def is_drained(self) -> bool:
        """The engine's own answer to whether it is fully idle, which may ask for more."""

    def is_paused(self) -> bool:
        """Whether generation is paused."""

    # Questions that oracles ask.

    def demand(self) -> Demand:
        """Return what the waiting and the running requests may still take; O(requests)."""

    def least_demand_tokens(self) -> int:
        """Return KV tokens that `demand` is certain to name, or more; cheap. 0 when nobody waits."""

    def is_marked_full(self) -> bool:
        """Whether the running batch bears a mark that keeps every waiting request out."""

    def why_held_back(self) -> str:
        """Why the engine may hold requests back although there is room; empty when it has no such switch."""

    def retracts_on_purpose(self) -> bool:
        """Whether running requests are retracted although there is room: then nobody is promised to end."""

    def why_unordered(self) -> str:
        """Why waiting requests may be prefilled in another order than they came; empty if they are not."""

    def waiting_priorities(self) -> dict[str, int | None]:
        """Return the priority of each waiting request, by request id; None where it orders nothing."""

    def clear_full_mark(self) -> None:
        """Take the mark off the running batch."""

    def cached_prefixes(self) -> dict[str, tuple[int, object | None]]:
        """Return what the tree keeps for each unfinished request that owns a row, by request id.

        Tokens at the head of its sequence that the tree owns, and the handle of the node at which they end.
        What is kept for a session is told by the name of the session.
        """

    def slot_faults(self) -> Sequence[SlotFault]:
        """Return what is wrong with the page tables of all that live, when a batch is about to run.

        To be asked in `on_run_batch`: between two steps an overlapped engine holds pages for requests whose
        end it has not looked at yet. Empty when all is well; O(pages in use).
        """

    # Actions. Those up to `flush` are received in the iteration that follows.

    def submit(self, submission: Submission) -> None:
        """Send a request.

        Raises:
            UnsupportedSettingError: it has a grammar, and the engine has no queue for those; or it is to be
                transferred, and the engine transfers nothing.
        """

    def open_session(self, session_id: str, *, is_streaming: bool) -> None:
        """Open a session; a streaming one keeps KV and a request row between two turns.

        Raises:
            UnsupportedSettingError: the engine has no such sessions, or was booted without them.
        """

    def close_session(self, session_id: str) -> None:
        """Close a session, and give back what it keeps; harmless when it is not open."""

    def open_sessions(self) -> tuple[str, ...]:
        """Return the sessions that were opened and not closed."""

    def note_submission(self, submission: Submission) -> None:
        """Know a request that the engine receives from elsewhere: from its first rank."""

    def pause(self, mode: str) -> None:
        """Pause generation; `retract` gives the KV of running requests back, `in_place` keeps it."""

    def resume(self, *, empty_device_cache: bool = False) -> None:
        """Resume a paused engine."""

    def abort(self, rid: str) -> None:
        """Abort one request (all whose id starts with `rid`)."""

    def abort_all(self) -> None:
        """Abort every request."""

    def flush(self) -> None:
        """Empty the prefix cache and the pools; refused by the engine while anything runs or waits."""

    @property
    def has_unreceived(self) -> bool:
        """Whether messages wait that the engine has not received yet."""

    def set_idle_checks(self, enabled: bool) -> None:
        """Turn the engine's own checks of an idle state on or off; to them withheld pages look leaked."""

    def begin_script(self) -> None:
        """Forget what earlier scripts submitted."""

    def restore_carryover(self) -> None:
        """Put back what earlier scripts left in counters (the first call only remembers them)."""

    def facts(self) -> BootFacts:
        """Describe what was booted."""

    def source_folders(self) -> SourceFolders:
        """Return where the engine's source is."""

    def imported_sources(self) -> ImportedSources:
        """Return which of the target's files this process has imported until now; no file if unknown."""

    # Observation. Wrappers stay until they are taken off.

    def watch(self, listener: EngineListener) -> Callable[[], None]:
        """Tell `listener` of evictions and retractions; returns what ends that, harmless when repeated.

        Raises:
            SeamError: the engine has no such method; nothing stays wrapped.
        """

    def watch_outputs(self, listener: OutputListener) -> Callable[[], None]:
        """Tell `listener` of each request that ends in a batch, once; returns what ends that.

        Raises:
            SeamError: the engine has no such method.
        """

    def phase_points(self) -> Sequence[MethodPoint]:
        """Return the methods that are phases of a step."""

    def matching_point(self) -> MethodPoint:
        """Return the method that looks a prompt up in the prefix cache."""


class Boot(Protocol):
    """The module `exhausters.engine.NAME.boot` of an engine, imported by name in a worker."""

    def import_before_clock(self) -> None:
        """Import what must wait in real time, before the worker's clock replaces `time`."""

    def load_common(self) -> None:
        """Import what the engine imports of what is installed beside it, as far as it is there."""

    def load(self, settings: HostSettings, source_dirs: tuple[str, ...]) -> None:
        """Set the environment and import the engine's own modules.

        Raises:
            ImportError: the engine, or something it imports, is not there.
            SeamError: what was found is not the target's.
        """

    def world(self, settings: HostSettings) -> World:
        """Return which ranks such an engine has.

        Raises:
            UnsupportedSettingError: ranks, or a combination of them, that cannot be run here.
        """

    def run(
        self,
        *,
        settings: HostSettings,
        run_dir: Path,
        make_hook: Callable[[Engine], EngineHook],
        on_started: Callable[[tuple[str, ...]], None],
        place: Place = ONLY_RANK,
    ) -> str:
        """Boot, and run the event loop until the hook ends it with SystemExit.

        Args:
            settings: what to boot.
            run_dir: folder for the engine's own files and sockets.
            make_hook: called once with the engine.
            on_started: called once when the engine is up, with notes about its keywords.
            place: which rank this process is.

        Returns:
            What the engine logged, when its loop ended by an exception.
        """

    def refusal(self, text: str, settings: HostSettings) -> UnsupportedSettingError | None:
        """Return what the text of a failed boot says about a setting; None when it failed otherwise."""

    def check(self, settings: HostSettings, facts: BootFacts) -> None:
        """Refuse an engine that booted differently from what was requested.

        Raises:
            BootError: names what booted and what was expected.
        """
