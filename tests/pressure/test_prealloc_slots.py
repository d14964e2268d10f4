"""The exhauster of slots for transfers leaves exactly what was asked for, and gives back what it took."""

from __future__ import annotations

from typing import Any

import pytest

from exhausters.engine.fake.engine import FakeEngine
from exhausters.errors import PressureError, UnsupportedSettingError
from exhausters.pressure.prealloc_slots import PreallocSlotExhauster
from tests.fakes.fake_engine import ScriptRunner


class _Slots:
    """Eight slots of which only the free ones exist."""

    def __init__(self) -> None:
        self.free = list(range(8))
        self.fails = False

    def available_slots(self) -> int:
        return len(self.free)

    def take(self, count: int) -> list[int]:
        taken, self.free = self.free[:count], self.free[count:]
        return taken

    def give_back(self, slots: list[int]) -> None:
        if self.fails:
            raise RuntimeError("cannot free")
        self.free += slots


def _exhauster(slots: _Slots) -> PreallocSlotExhauster:
    transfers: Any = type("Transfers", (), {"slots": slots})()
    engine: Any = type("Engine", (), {"transfers": transfers})()
    return PreallocSlotExhauster(engine)


def test_held_takes_again_and_gives_all_back() -> None:
    """Held, what becomes free is taken at the next step; a release gives back every slot, once."""
    slots = _Slots()
    exhauster = _exhauster(slots)
    exhauster.hold(2)
    assert (slots.free, exhauster.held_prealloc_slots) == ([6, 7], 6)
    slots.free.append(8)
    exhauster.reapply()
    assert (len(slots.free), exhauster.held_prealloc_slots) == (2, 7)
    exhauster.release()
    exhauster.release()
    assert (sorted(slots.free), exhauster.held_prealloc_slots) == (list(range(9)), 0)


def test_a_level_above_what_is_free_takes_nothing() -> None:
    """Slots that requests own are no debt of the exhauster."""
    slots = _Slots()
    _exhauster(slots).take_once(9)
    assert len(slots.free) == 8


def test_a_release_that_fails_is_told() -> None:
    """Slots that cannot be given back are an error that says which resource, and how often."""
    slots = _Slots()
    exhauster = _exhauster(slots)
    exhauster.take_once(0)
    slots.fails = True
    with pytest.raises(PressureError, match=r"giving back slots for transfers failed 1 time"):
        exhauster.release()


def test_an_engine_that_runs_alone_refuses_the_level() -> None:
    """A level of slots that are not there is the outcome `unsupported`, with what to do."""
    exhauster = PreallocSlotExhauster(FakeEngine(ScriptRunner().scheduler))
    with pytest.raises(UnsupportedSettingError, match="leave_prealloc_slots=0: this engine is no part of a"):
        exhauster.take_once(0)
    exhauster.release()
