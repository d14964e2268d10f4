"""How far each transfer is: what the null transfer engine tells SGLang when it polls.

A room is SGLang's word for what a request of a disaggregated pair has in common with the other engine. Here
there is no other engine: a room goes on by the steps that pass, and by what a script wants.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from exhausters.engine.api import Arrival, TransferEvents
from exhausters.errors import UsageError
from exhausters.workloads.transfer import DRIVEN, FAILS, STALLS, UNANSWERED, Transfer

# What a poll says.
BOOTSTRAPPING, WAITING, TRANSFERRING, ARRIVED, FAILED = (
    "bootstrapping",
    "waiting",
    "transferring",
    "arrived",
    "failed",
)


@dataclass(slots=True, kw_only=True)
class Room:
    """One request between two engines.

    Attributes:
        number: the room's number.
        rid: the request.
        kv_tokens: length of its prompt.
        first_token: the token that a prefill engine would compute for it.
        transfer: how it goes on.
        is_stalled, is_unanswered: its transfer, or the handshake before, goes no further.
        opened_step: step in which the engine began to wait for the other side; None before.
        sent_step: step in which all was sent, or the place for it was known; None before.
        ending: ARRIVED or FAILED once the engine has been told, or is to be told; else None.
        polled: what the newest poll said; empty before the first.
        is_told: the engine has been told how it ended.
        is_aborted: the engine itself has given it up.
        is_again: its first token has been handed over before.
    """

    number: int
    rid: str
    kv_tokens: int
    first_token: int
    transfer: Transfer = field(default_factory=Transfer)
    is_stalled: bool = False
    is_unanswered: bool = False
    opened_step: int | None = None
    sent_step: int | None = None
    ending: str | None = None
    polled: str = ""
    is_told: bool = False
    is_aborted: bool = False
    is_again: bool = False

    def state(self, step: int) -> str:
        """What a poll in this step says."""
        # A transfer can end well only once there is one.
        if self.ending == FAILED or (self.ending == ARRIVED and self.sent_step is not None):
            return str(self.ending)
        if self.sent_step is not None:
            if self.is_stalled or step - self.sent_step < self.transfer.steps:
                return TRANSFERRING
            return FAILED if self.transfer.fate == FAILS else ARRIVED
        if self.is_unanswered or self.opened_step is None:
            return BOOTSTRAPPING
        return BOOTSTRAPPING if step - self.opened_step < self.transfer.handshake_steps else WAITING

    @property
    def is_waited_for(self) -> bool:
        """Whether the engine has asked for it, and does not know an end yet."""
        return self.opened_step is not None and not self.is_told

    def is_stuck(self, step: int) -> bool:
        """Whether it goes no further by steps alone, where it is now."""
        state = self.state(step)
        return (state == TRANSFERRING and self.is_stalled) or (state == BOOTSTRAPPING and self.is_unanswered)


class Rooms:
    """All rooms of one engine, and the steps they go on by."""

    def __init__(self) -> None:
        self._step = 0
        self._last_number = 0
        self._by_number: dict[int, Room] = {}
        self._by_rid: dict[str, Room] = {}
        self._arrived: list[Arrival] = []
        self._failed: list[str] = []

    def tick(self) -> None:
        """A step begins."""
        self._step += 1

    def clear(self) -> None:
        """Forget all rooms: a new script begins on an engine that is drained."""
        self._by_number.clear()
        self._by_rid.clear()
        self.take_events()

    def add(self, rid: str, transfer: Transfer | None, *, kv_tokens: int, first_token: int) -> int:
        """Return the number of a new room."""
        self._last_number += 1
        planned = transfer or Transfer()
        room = Room(
            number=self._last_number,
            rid=rid,
            kv_tokens=kv_tokens,
            first_token=first_token,
            transfer=planned,
            is_stalled=planned.fate in (STALLS, DRIVEN),
            is_unanswered=planned.fate in (UNANSWERED, DRIVEN),
        )
        self._by_number[room.number] = self._by_rid[rid] = room
        return room.number

    def named(self, rid: str) -> Room:
        """The room of a request; raises UsageError when it has none."""
        room = self._by_rid.get(rid)
        if room is None:
            raise UsageError(f"rid={rid!r}: no request of this script has a transfer by that id")
        return room

    def all(self) -> Iterator[Room]:
        """Every room."""
        return iter(self._by_number.values())

    def open(self, number: int) -> Room:
        """The engine begins to wait for the other side, for the first time or again."""
        room = self._by_number.get(number)
        if room is None:  # a request that the engine made itself
            room = self._by_number[number] = Room(number=number, rid="", kv_tokens=0, first_token=0)
        room.opened_step, room.sent_step = self._step, None
        room.is_told = False
        if room.ending == ARRIVED:
            room.ending = None
        return room

    def sent(self, room: Room) -> None:
        """All is sent, or the place for it is known."""
        room.sent_step = self._step

    def poll(self, room: Room) -> str:
        """Tell the engine how far a room is, and keep what it is told of ends."""
        room.polled = state = room.state(self._step)
        if state in (ARRIVED, FAILED) and not room.is_told:
            room.ending, room.is_told = state, True
            if state == ARRIVED:
                arrival = Arrival(rid=room.rid, kv_tokens=room.kv_tokens, brings_token=not room.is_again)
                self._arrived.append(arrival)
                room.is_again = True
            elif not room.is_aborted:
                self._failed.append(room.rid)
        return state

    def state(self, room: Room) -> str:
        """What a poll would say now; nobody is told."""
        return room.state(self._step)

    def is_answered(self, rid: str) -> bool:
        """Whether the engine knows that the other side has answered a request."""
        room = self._by_rid.get(rid)
        return room is not None and room.polled == WAITING

    def stuck(self) -> Iterator[Room]:
        """Those that the engine waits for, and that go no further by steps alone."""
        return (room for room in self.all() if room.is_waited_for and room.is_stuck(self._step))

    def are_under_way(self) -> bool:
        """Whether steps alone will bring one on that the engine waits for."""
        moving = (BOOTSTRAPPING, TRANSFERRING)
        return any(
            room.is_waited_for and room.state(self._step) in moving and not room.is_stuck(self._step)
            for room in self.all()
        )

    def take_events(self) -> TransferEvents:
        """What the engine was told since the last call."""
        events = TransferEvents(arrived=tuple(self._arrived), failed_rids=tuple(self._failed))
        self._arrived, self._failed = [], []
        return events
