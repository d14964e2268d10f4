"""What the null transfer engine says when it is polled, step by step."""

from __future__ import annotations

import pytest

from exhausters.engine.api import Arrival, TransferEvents
from exhausters.engine.sglang import rooms as states
from exhausters.engine.sglang.rooms import Room, Rooms
from exhausters.errors import UsageError
from exhausters.workloads import Transfer


def _opened(rooms: Rooms, transfer: Transfer | None = None, rid: str = "a") -> Room:
    return rooms.open(rooms.add(rid, transfer, kv_tokens=32, first_token=7))


def _polls(rooms: Rooms, room: Room, steps: int) -> list[str]:
    said = []
    for _ in range(steps):
        said.append(rooms.poll(room))
        rooms.tick()
    return said


def test_a_transfer_takes_its_steps() -> None:
    """Two steps until the other side answers, and three from the sending to the arrival, told once."""
    rooms = Rooms()
    room = _opened(rooms, Transfer(steps=3, handshake_steps=2))
    assert _polls(rooms, room, 3) == [states.BOOTSTRAPPING, states.BOOTSTRAPPING, states.WAITING]
    rooms.sent(room)
    assert _polls(rooms, room, 5) == [*[states.TRANSFERRING] * 3, states.ARRIVED, states.ARRIVED]
    assert rooms.take_events() == TransferEvents(arrived=(Arrival(rid="a", kv_tokens=32),))
    assert rooms.take_events() == TransferEvents()


def test_no_steps_are_the_same_step() -> None:
    """A transfer of no steps has arrived at the first look after the sending."""
    rooms = Rooms()
    room = _opened(rooms, Transfer(steps=0))
    rooms.sent(room)
    assert rooms.poll(room) == states.ARRIVED


def test_a_failure_is_told_once_and_an_abort_is_none() -> None:
    """A transfer that fails loses its request; one that the engine gave up itself does not count as lost."""
    rooms = Rooms()
    failed = _opened(rooms, Transfer(steps=1, fate="fails"), rid="failed")
    aborted = _opened(rooms, rid="aborted")
    for room in (failed, aborted):
        rooms.sent(room)
    aborted.is_aborted, aborted.ending = True, states.FAILED
    assert _polls(rooms, failed, 3) == [states.TRANSFERRING, states.FAILED, states.FAILED]
    assert rooms.poll(aborted) == states.FAILED
    assert rooms.take_events() == TransferEvents(failed_rids=("failed",))


def test_what_stalls_goes_on_when_it_is_let_go() -> None:
    """A stalled transfer and an unanswered handshake stay where they are, and are no progress."""
    rooms = Rooms()
    stalls = _opened(rooms, Transfer(steps=1, fate="stalls"), rid="stalls")
    unanswered = _opened(rooms, Transfer(fate="unanswered"), rid="unanswered")
    rooms.sent(stalls)
    assert _polls(rooms, stalls, 3) == [states.TRANSFERRING] * 3
    assert rooms.poll(unanswered) == states.BOOTSTRAPPING
    assert [room.rid for room in rooms.stuck()] == ["stalls", "unanswered"]
    assert not rooms.are_under_way()
    for room in (stalls, unanswered):
        room.is_stalled = room.is_unanswered = False
    assert (rooms.poll(stalls), rooms.poll(unanswered)) == (states.ARRIVED, states.WAITING)


def test_a_transfer_on_its_way_is_under_way() -> None:
    """While steps alone bring a transfer on nothing has stalled; when it has arrived nothing is left."""
    rooms = Rooms()
    room = _opened(rooms, Transfer(steps=2))
    assert not rooms.are_under_way()  # answered, and the engine has not sent anything
    rooms.sent(room)
    assert rooms.are_under_way()
    _polls(rooms, room, 3)
    assert not rooms.are_under_way()


def test_what_is_sent_again_brings_no_token() -> None:
    """A request whose KV is sent a second time has its first token already."""
    rooms = Rooms()
    number = rooms.add("a", Transfer(steps=0), kv_tokens=32, first_token=7)
    for _ in range(2):
        room = rooms.open(number)
        assert rooms.poll(room) == states.WAITING
        rooms.sent(room)
        assert rooms.poll(room) == states.ARRIVED
    assert [one.brings_token for one in rooms.take_events().arrived] == [True, False]


def test_a_request_that_is_not_there_is_a_mistake() -> None:
    """A script that names a request it has not sent is told so."""
    with pytest.raises(UsageError, match="rid='b': no request of this script has a transfer by that id"):
        Rooms().named("b")
