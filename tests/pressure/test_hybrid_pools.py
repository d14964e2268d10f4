"""The exhausters of window tokens and mamba slots leave what was asked for, and give back what they took."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from exhausters.engine.fake.engine import FakeEngine
from exhausters.engine.fake.scheduler import FakeScheduler
from exhausters.errors import ConservationError, PressureError, UnsupportedSettingError
from exhausters.pressure.mamba_slots import MambaSlotExhauster
from exhausters.pressure.window_tokens import WindowTokenExhauster
from tests.fakes.fake_engine import ScriptRunner


@dataclass
class _Pool:
    """A pool of which only the free units exist; has the names of both kinds."""

    free: int = 160
    page_size: int = 16
    total_tokens: int = 320
    total_slots: int = 320
    given_back: list[int] = field(default_factory=list)
    fails: bool = False

    def available_tokens(self) -> int:
        return self.free

    available_slots = available_tokens

    def take(self, units: int) -> int:
        self.free -= units
        return units

    def give_back(self, taking: int) -> None:
        if self.fails:
            raise RuntimeError("cannot free")
        self.free += taking
        self.given_back.append(taking)


def _window(pool: Any) -> WindowTokenExhauster:
    engine: Any = type("Engine", (), {"window_pool": pool})()
    return WindowTokenExhauster(engine)


def _mamba(pool: Any) -> MambaSlotExhauster:
    engine: Any = type("Engine", (), {"mamba_pool": pool})()
    return MambaSlotExhauster(engine)


def test_window_tokens_are_taken_in_whole_pages() -> None:
    """A level inside a page leaves the whole of that page: never fewer tokens than were asked for."""
    pool = _Pool()
    exhauster = _window(pool)
    exhauster.take_once(40)
    assert (pool.free, exhauster.held_window_tokens) == (48, 112)


def test_slots_are_taken_one_by_one() -> None:
    """Exactly the level is left; taken once, what becomes free later stays free."""
    pool = _Pool()
    exhauster = _mamba(pool)
    exhauster.take_once(3)
    pool.free += 5
    exhauster.reapply()
    assert (pool.free, exhauster.held_mamba_slots) == (8, 157)


@pytest.mark.parametrize("make", [_window, _mamba])
def test_held_takes_again_and_gives_back_once(make: Any) -> None:
    """Held, what becomes free is taken at the next step; newest comes back first, and only once."""
    pool = _Pool()
    exhauster = make(pool)
    exhauster.hold(0)
    pool.free += 32
    exhauster.reapply()
    assert pool.free == 0
    exhauster.release()
    exhauster.release()
    assert pool.given_back == [32, 160]


@pytest.mark.parametrize(
    ("make", "level", "total"),
    [(_window, "leave_window_tokens", "320"), (_mamba, "leave_mamba_slots", "320")],
)
def test_a_level_above_the_pool_is_refused(make: Any, level: str, total: str) -> None:
    """A level that the pool does not have takes nothing and says how large the pool is."""
    pool = _Pool()
    with pytest.raises(UnsupportedSettingError, match=f"{level}=321: the pool has {total}"):
        make(pool).take_once(321)
    assert pool.free == 160


@pytest.mark.parametrize(
    ("make", "level"), [(_window, "leave_window_tokens=0"), (_mamba, "leave_mamba_slots=0")]
)
def test_an_engine_without_the_pool_refuses_the_level(make: Any, level: str) -> None:
    """A level of a pool that is not there is the outcome `unsupported`, with what to do."""
    exhauster = make(None)
    with pytest.raises(UnsupportedSettingError, match=f"{level}: this engine has no pool of .* model = "):
        exhauster.take_once(0)
    exhauster.release()


@pytest.mark.parametrize(("make", "what"), [(_window, "window tokens"), (_mamba, "mamba slots")])
def test_a_release_that_fails_is_told(make: Any, what: str) -> None:
    """What cannot be given back is an error that says which resource, and how often."""
    exhauster = make(_Pool(fails=True))
    exhauster.take_once(0)
    with pytest.raises(PressureError, match=f"giving back {what} failed 1 time"):
        exhauster.release()


def test_the_fake_engine_has_slots_where_it_is_asked() -> None:
    """Without such layers there is no pool; with them every slot is free, held or in use."""
    assert FakeEngine(ScriptRunner().scheduler).mamba_pool is None
    engine = FakeEngine(FakeScheduler(mamba_slots=4))
    exhauster = MambaSlotExhauster(engine)
    exhauster.take_once(1)
    found = engine.snapshot()
    assert (found.mamba_free_slots, exhauster.held_mamba_slots, found.mamba_in_use_slots) == (1, 3, 0)
    assert engine.mamba_pool is not None
    engine.mamba_pool.reset()
    with pytest.raises(PressureError, match=r"mamba slots .* are free already") as failed:
        exhauster.release()
    assert failed.value.__cause__ is not None
    assert isinstance(failed.value.__cause__.exceptions[0], ConservationError)  # type: ignore[attr-defined]
