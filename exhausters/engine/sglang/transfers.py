"""`SGLangTransfers`: the null transfer engine of one scheduler behind `exhausters.engine.api.Transfers`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from exhausters.engine.api import DECODE_ROLE, TransferEvents, TransferQueues
from exhausters.engine.sglang import rooms as states
from exhausters.engine.sglang.holdings import Holders
from exhausters.engine.sglang.rooms import Rooms
from exhausters.engine.sglang.transfer_queues import QueueReader
from exhausters.errors import AllocationShortError, ConservationError


class MetadataSlots:
    """`exhausters.engine.api.PreallocSlots` over the indices of the scheduler's metadata buffers."""

    def __init__(self, scheduler: Any, queues: QueueReader) -> None:
        self._allocator = scheduler.req_to_metadata_buffer_idx_allocator
        self._queues = queues

    @property
    def total_slots(self) -> int:
        """Slots in all."""
        return int(self._allocator.size)

    def available_slots(self) -> int:
        """Slots that are free."""
        return int(self._allocator.available_size())

    def in_use_slots(self) -> int:
        """Slots that requests own."""
        return self._queues.slots_in_use()

    def take(self, count: int) -> Sequence[int]:
        """Take free slots, all or nothing."""
        available = self.available_slots()
        if count > available:
            raise AllocationShortError(
                f"wanted {count} slots for transfers, {available} are free",
                wanted_tokens=count,
                given_tokens=0,
                available_tokens=available,
            )
        return [int(self._allocator.alloc()) for _ in range(count)]

    def give_back(self, slots: Sequence[int]) -> None:
        """Return slots, so that the next ones are given out in the order that they would have been."""
        available, total = self.available_slots(), self.total_slots
        if available + len(slots) > total:
            raise ConservationError(
                f"{available} slots for transfers are free and {len(slots)} held, of {total}: they were made "
                "anew meanwhile"
            )
        for slot in slots:
            self._allocator.free(slot)


class SGLangTransfers:
    """The transfers of one scheduler.

    Attributes:
        role: `prefill` or `decode`.
        slots: the slots of its metadata buffers.
    """

    def __init__(self, scheduler: Any, queues: QueueReader, rooms: Rooms, holders: Holders) -> None:
        self.role = queues.role
        self.slots = MetadataSlots(scheduler, queues)
        self._queues = queues
        self._rooms = rooms
        self._holders = holders
        self._page_size = int(scheduler.page_size)

    def queues(self) -> TransferQueues:
        """Who waits for what; those of a prefill engine that the other side has answered wait for a slot."""
        found = self._queues.queues()
        if self.role == DECODE_ROLE:
            return found
        answered = [rid for rid in found.bootstrapping if self._rooms.is_answered(rid)]
        return replace(
            found,
            bootstrapping=tuple(rid for rid in found.bootstrapping if rid not in answered),
            preallocating=tuple(answered),
        )

    def reserved_tokens(self) -> int:
        """KV tokens of their own that requests in transfer hold, whole pages."""
        page = self._page_size
        own = map(self._holders.own_tokens, self._queues.in_transfer())
        return sum(-(-tokens // page) * page for tokens in own)

    def take_events(self) -> TransferEvents:
        """What has happened since the last call."""
        return self._rooms.take_events()

    def stalled_rids(self) -> tuple[str, ...]:
        """Transfers and handshakes that go no further by themselves."""
        return tuple(room.rid for room in self._rooms.stuck())

    def are_under_way(self) -> bool:
        """Whether steps alone bring one on."""
        return self._rooms.are_under_way()

    def stall(self, rid: str) -> None:
        """Let a transfer go no further."""
        self._rooms.named(rid).is_stalled = True

    def answer(self, rid: str) -> None:
        """Let the other engine answer a request."""
        self._rooms.named(rid).is_unanswered = False

    def let_go(self, rid: str) -> None:
        """Let a stalled one go on."""
        room = self._rooms.named(rid)
        room.is_stalled = room.is_unanswered = False

    def let_all_go(self) -> None:
        """Let every stalled one go on."""
        for room in self._rooms.all():
            room.is_stalled = room.is_unanswered = False

    def arrive(self, rid: str) -> None:
        """Let a transfer end well at the engine's next look at it."""
        room = self._rooms.named(rid)
        room.is_unanswered = False
        if room.ending is None:
            room.ending = states.ARRIVED

    def fail(self, rid: str) -> None:
        """Let a transfer fail at the engine's next look at it."""
        room = self._rooms.named(rid)
        if room.ending is None or not room.is_told:
            room.ending = states.FAILED
