"""A transfer engine that moves nothing: SGLang's classes for one, over the rooms of this process.

Imported when sglang is. The scheduler makes one manager, and a sender (prefill) or a receiver (decode) for
each request; what it asks of them beside the abstract classes was found by reading its queues.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, ClassVar

from sglang.srt.disaggregation.base import (
    BaseKVBootstrapServer,
    BaseKVManager,
    BaseKVReceiver,
    BaseKVSender,
    KVPoll,
)

from exhausters.engine.sglang import rooms
from exhausters.engine.sglang.rooms import Room, Rooms
from exhausters.errors import SeamError

_POLLS: Mapping[str, int] = {
    rooms.BOOTSTRAPPING: KVPoll.Bootstrapping,
    rooms.WAITING: KVPoll.WaitingForInput,
    rooms.TRANSFERRING: KVPoll.Transferring,
    rooms.ARRIVED: KVPoll.Success,
    rooms.FAILED: KVPoll.Failed,
}


# Since 0.5.10 the place for the KV is told by a call of its own.
_HAS_METADATA_CALL = hasattr(BaseKVReceiver, "send_metadata")


class TransferFailed(Exception):  # noqa: N818 - SGLang prints the name in its own message
    """What SGLang is told of a transfer that a script let fail."""


class _OnePrefill(dict[str, Any]):
    """What is known of the prefill engine behind any address: there is one, with one rank."""

    _INFO = SimpleNamespace(
        dp_size=1, attn_tp_size=1, attn_cp_size=1, pp_size=1, page_size=None, follow_bootstrap_room=True
    )

    def get(self, _address: str, _default: Any = None) -> Any:
        """The same for every address."""
        return self._INFO

    def __contains__(self, _address: object) -> bool:
        return True

    def __getitem__(self, _address: str) -> Any:
        return self._INFO


class NullKVManager(BaseKVManager):  # type: ignore[misc]
    """Knows every prefill engine, and registers nowhere.

    Attributes:
        rooms, scheduler: those of this process; set before SGLang makes any of these objects.
    """

    rooms: ClassVar[Rooms]
    scheduler: ClassVar[Any] = None
    # What the scheduler asks of a manager beside its abstract class.
    is_dummy_cp_rank = False
    enable_all_cp_ranks_for_transfer = False

    def __init__(self, args: Any, disaggregation_mode: Any, server_args: Any, *_: Any, **__: Any) -> None:
        self.kv_args = args
        self.disaggregation_mode = disaggregation_mode
        self.prefill_info_table = _OnePrefill()
        self.transfer_infos: dict[int, Any] = {}
        self.req_to_decode_prefix_len: dict[int, int] = {}

    def register_to_bootstrap(self) -> None:
        """There is no bootstrap server."""

    def try_ensure_parallel_info(self, _address: str) -> bool:
        """Everything is known of the prefill engine."""
        return True

    ensure_parallel_info = try_ensure_parallel_info

    def submit_prefill_recompute(self, receiver: Any, _payload: Any) -> None:
        """A retracted request is prefilled again: its first token is known."""
        receiver.room.is_again = True


class _Endpoint:
    """What a sender and a receiver have in common."""

    # What the scheduler asks of endpoints beside their abstract classes.
    require_staging = False
    abort_notified = False

    def __init__(self, mgr: Any, bootstrap_addr: str, bootstrap_room: int | None = None, *_: Any, **__: Any):
        self.kv_mgr = mgr
        self.bootstrap_room = bootstrap_room
        self.room: Room = mgr.rooms.open(-1 if bootstrap_room is None else bootstrap_room)
        self.bootstrap_infos: tuple[Any, ...] = ()

    @property
    def conclude_state(self) -> int | None:
        """How it has ended; None before."""
        return _POLLS[self.room.ending] if self.room.is_told and self.room.ending else None

    def poll(self) -> int:
        """How far the room is."""
        return _POLLS[self.kv_mgr.rooms.poll(self.room)]

    poll_pp_consensus = poll

    def failure_exception(self) -> None:
        """Raise what the scheduler logs."""
        raise TransferFailed(f"the null transfer of {self.room.rid} was let fail")

    def abort(self) -> None:
        """The engine gives it up."""
        self.room.is_aborted = True
        self.room.ending = rooms.FAILED

    def clear(self) -> None:
        """The engine is done with it."""

    def ensure_abort_notified(self, **_: Any) -> None:
        """Nobody writes to the pages of a room: they are free at once."""


class NullKVSender(_Endpoint, BaseKVSender):  # type: ignore[misc]
    """The prefill engine's end: all is sent once as many pages were handed over as were announced."""

    _pages_to_send = 0
    _sent_pages = 0

    def init(self, num_kv_indices: int, aux_index: int | None = None) -> None:
        """The other side has answered; so many pages will be sent."""
        self._pages_to_send = int(num_kv_indices)

    def send(self, kv_indices: Any, *_: Any, **__: Any) -> None:
        """Pages are handed over."""
        self._sent_pages += len(kv_indices)
        if self._sent_pages >= self._pages_to_send:
            self.kv_mgr.rooms.sent(self.room)

    def should_send_kv_chunk(self, num_pages: int, last_chunk: bool) -> bool:
        """The last chunk is sent even without pages: a transfer begins with it."""
        return num_pages > 0 or last_chunk

    def mark_prefill_complete(self) -> None:
        """Nobody waits for it."""

    def get_transfer_metric(self) -> Any:
        """Nothing was measured."""
        from sglang.srt.disaggregation.base import conn

        return conn.KVTransferMetric()


class NullKVReceiver(_Endpoint, BaseKVReceiver):  # type: ignore[misc]
    """The decode engine's end: a transfer begins when the place for it is known.

    When it arrives, the first token and the room's number are where a transfer would have put them.
    """

    _slot: int | None = None

    def init(self, *arguments: Any, **keywords: Any) -> None:
        """The prefill engine is known; in the oldest releases this call tells the place for the KV."""
        if not _HAS_METADATA_CALL:
            self.send_metadata(*arguments, **keywords)

    def send_metadata(self, kv_indices: Any, aux_index: int | None = None, *_: Any, **__: Any) -> None:
        """Pages and a slot are reserved."""
        self._slot = aux_index
        self.kv_mgr.rooms.sent(self.room)

    def poll(self) -> int:
        """How far the room is."""
        if self._slot is not None and self.kv_mgr.rooms.state(self.room) == rooms.ARRIVED:
            self._write(self._slot)
        return super().poll()

    def _write(self, slot: int) -> None:
        buffers = getattr(self.kv_mgr.scheduler, "disagg_metadata_buffers", None)
        if buffers is None or not hasattr(buffers, "output_ids"):
            raise SeamError(
                "the scheduler has no disagg_metadata_buffers with output_ids to hand a token over"
            )
        buffers.output_ids[slot, 0] = self.room.first_token
        if hasattr(buffers, "bootstrap_room"):
            buffers.bootstrap_room[slot, 0] = self.room.number


class NullKVBootstrapServer(BaseKVBootstrapServer):  # type: ignore[misc]
    """Serves nobody."""

    def __init__(self, host: str = "", port: int = 0, *_: Any, **__: Any) -> None:
        self.host, self.port = host, port


CLASSES: Mapping[str, type] = {
    "KVManager": NullKVManager,
    "KVSender": NullKVSender,
    "KVReceiver": NullKVReceiver,
    "KVBootstrapServer": NullKVBootstrapServer,
}
