"""The exhauster of adapter slots leaves what was asked for, and gives back exactly what it took."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from exhausters.engine.fake.engine import FakeEngine
from exhausters.errors import PressureError, UnsupportedSettingError
from exhausters.pressure.lora_slots import AdapterSlotExhauster
from tests.fakes.fake_engine import ScriptRunner


@dataclass
class _Slots:
    """Slots of which only the number of free ones exists."""

    free: int = 8
    never_taken_slots: int = 1
    given_back: list[int] = field(default_factory=list)
    fails: bool = False

    def free_slots(self) -> int:
        return self.free

    def take(self, count: int) -> int:
        self.free -= count
        return count

    def give_back(self, taking: int) -> None:
        if self.fails:
            raise RuntimeError("cannot unload")
        self.free += taking
        self.given_back.append(taking)


def _exhauster(slots: _Slots) -> AdapterSlotExhauster:
    engine: Any = type("Engine", (), {"adapter_slots": slots})()
    return AdapterSlotExhauster(engine)


def test_held_takes_again_and_gives_all_back() -> None:
    """What becomes free is taken at the next step; all comes back on release, newest first, once."""
    slots = _Slots()
    exhauster = _exhauster(slots)
    exhauster.hold(2)
    assert (slots.free, exhauster.held_lora_slots) == (2, 6)
    slots.free += 1
    exhauster.reapply()
    assert (slots.free, exhauster.held_lora_slots) == (2, 7)
    exhauster.release()
    exhauster.release()
    assert (slots.free, exhauster.held_lora_slots, slots.given_back) == (9, 0, [1, 6])


def test_slots_in_use_are_no_debt() -> None:
    """Where running requests need more than the level leaves, nothing is taken."""
    slots = _Slots(free=1)
    _exhauster(slots).take_once(2)
    assert slots.free == 1


def test_a_release_that_fails_is_told() -> None:
    """Slots that cannot be given back are an error that says which resource, and how often."""
    exhauster = _exhauster(_Slots(fails=True))
    exhauster.take_once(1)
    with pytest.raises(PressureError, match=r"giving back adapter slots failed 1 time"):
        exhauster.release()


def test_what_cannot_be_taken_is_refused() -> None:
    """The last slots of an engine, and a level without adapters, are outcomes with what to do."""
    with pytest.raises(UnsupportedSettingError, match=r"leave_lora_slots=0: .*expected >= 1"):
        _exhauster(_Slots()).take_once(0)
    without = AdapterSlotExhauster(FakeEngine(ScriptRunner().scheduler))
    with pytest.raises(UnsupportedSettingError, match="leave_lora_slots=1: this engine has no slots"):
        without.take_once(1)
    without.release()
