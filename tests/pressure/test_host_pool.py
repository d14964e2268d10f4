"""The exhauster of host pages leaves exactly what was asked for, and gives back exactly what it took."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from exhausters.engine.fake.engine import FakeEngine
from exhausters.errors import PressureError, UnsupportedSettingError
from exhausters.pressure.host_pool import HostPoolExhauster
from tests.fakes.fake_engine import ScriptRunner


@dataclass
class _Pool:
    """A host pool of which only the free tokens exist."""

    free: int = 160
    page_size: int = 16
    given_back: list[int] = field(default_factory=list)
    fails: bool = False

    def available_tokens(self) -> int:
        return self.free

    def take(self, tokens: int) -> int:
        self.free -= tokens
        return tokens

    def give_back(self, taking: int) -> None:
        if self.fails:
            raise RuntimeError("cannot free")
        self.free += taking
        self.given_back.append(taking)


def _exhauster(pool: _Pool) -> HostPoolExhauster:
    engine: Any = type("Engine", (), {"host_pool": pool})()
    return HostPoolExhauster(engine)


def test_takes_down_to_a_level_once() -> None:
    """Taken once, whatever becomes free later stays free; all comes back on release, once."""
    pool = _Pool()
    exhauster = _exhauster(pool)
    exhauster.take_once(3)
    assert (pool.free, exhauster.held_host_tokens) == (48, 112)
    pool.free += 32
    exhauster.reapply()
    assert pool.free == 80
    exhauster.release()
    exhauster.release()
    assert (pool.free, exhauster.held_host_tokens, pool.given_back) == (192, 0, [112])


def test_held_takes_again() -> None:
    """Held, what becomes free is taken at the next step, in whole pages; newest comes back first."""
    pool = _Pool()
    exhauster = _exhauster(pool)
    exhauster.hold(0)
    pool.free += 40
    exhauster.reapply()
    assert (pool.free, exhauster.held_host_tokens) == (8, 192)
    exhauster.release()
    assert pool.given_back == [32, 160]


def test_a_level_above_what_is_free_takes_nothing() -> None:
    """Pages that the cache keeps are no debt of the exhauster."""
    pool = _Pool(free=32)
    _exhauster(pool).take_once(3)
    assert pool.free == 32


def test_a_release_that_fails_is_told() -> None:
    """Pages that cannot be given back are an error that says which resource, and how often."""
    exhauster = _exhauster(_Pool(fails=True))
    exhauster.take_once(0)
    with pytest.raises(PressureError, match=r"giving back host pages failed 1 time"):
        exhauster.release()


def test_an_engine_without_the_tier_refuses_the_level() -> None:
    """A level of a pool that is not there is the outcome `unsupported`, with what to do."""
    exhauster = HostPoolExhauster(FakeEngine(ScriptRunner().scheduler))
    with pytest.raises(UnsupportedSettingError, match="leave_host_pages=0: this engine has no cache"):
        exhauster.take_once(0)
    exhauster.release()
