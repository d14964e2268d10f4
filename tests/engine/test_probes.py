"""Probes see every call while they are there, and leave nothing behind."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from exhausters.engine.sglang.probes import (
    CallProbe,
    eviction_method,
    tokens_asked,
    tokens_given,
    window_tokens_given,
    wrap,
)
from exhausters.errors import SeamError
from tests.fakes.fake_radix_cache import FakeEvictParams, FakeEvictResult


class Doubler:
    """Something with a method."""

    def double(self, value: int) -> int:
        return 2 * value


class Heir(Doubler):
    """Something that only inherits it."""


def test_probe_on_an_instance() -> None:
    """The call goes through, is told with its result, and the instance is as it was afterwards."""
    told: list[Any] = []
    one, other = Doubler(), Doubler()
    probe = CallProbe(one, "double", lambda result, first: told.append((result, first)))
    assert (one.double(3), other.double(4)) == (6, 8)
    probe.remove()
    assert one.double(5) == 10
    assert told == [(6, 3)]
    assert vars(one) == {}


def test_probe_on_a_class() -> None:
    """Every instance is observed, as first argument; afterwards the class has its own function back."""
    told: list[Any] = []
    before = Doubler.double
    probe = CallProbe(Doubler, "double", lambda result, first: told.append((result, first)))
    one = Doubler()
    assert one.double(3) == 6
    probe.remove()
    assert Doubler.double is before
    assert told == [(6, one)]


def test_probe_on_an_inherited_function() -> None:
    """The heir's calls are observed and its parent's are not; afterwards both do what they did."""
    told: list[Any] = []
    probe = CallProbe(Heir, "double", lambda result, first: told.append(result))
    assert (Heir().double(1), Doubler().double(2)) == (2, 4)
    probe.remove()
    assert told == [2]
    assert Heir.double is Doubler.double


def _adding(amount: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    return lambda original: lambda *args: original(*args) + amount


def test_wrappers_nest_and_come_off_in_reverse() -> None:
    """Two wrappers both act; the outer one taken off leaves the inner one, and then nothing is left."""
    one = Doubler()
    inner = wrap(one, "double", _adding(1))
    outer = wrap(one, "double", _adding(10))
    assert one.double(1) == 13
    outer()
    assert one.double(1) == 3
    inner()
    assert one.double(1) == 2
    assert vars(one) == {}


def test_a_wrapper_of_the_instances_own_method() -> None:
    """A method that somebody else had put on the instance is there again afterwards."""
    one: Any = Doubler()
    one.double = own = lambda value: 100 * value
    take_off = wrap(one, "double", _adding(1))
    assert one.double(2) == 201
    take_off()
    assert one.double is own


def test_missing_method() -> None:
    """What is not there cannot be observed: a SeamError names it."""
    with pytest.raises(SeamError, match="Doubler has no triple"):
        CallProbe(Doubler(), "triple", lambda result, first: None)


def test_eviction_method_prefers_the_one_all_go_through() -> None:
    """Caches with `_evict` are observed there, others at `evict`."""

    class Old:
        def evict(self) -> None: ...

    class New(Old):
        def _evict(self) -> None: ...

    assert eviction_method(Old()) == "evict"
    assert eviction_method(New()) == "_evict"


def test_token_counts_of_calls() -> None:
    """Tokens are read from parameters and results; where there are none they are 0."""
    assert tokens_asked(FakeEvictParams(num_tokens=7)) == 7
    assert tokens_asked(None) == 0
    assert tokens_given(FakeEvictResult(num_tokens_evicted=9)) == 9
    assert window_tokens_given(SimpleNamespace(swa_num_tokens_evicted=4)) == 4
    assert window_tokens_given(FakeEvictResult(num_tokens_evicted=9)) == 0
    assert tokens_given(None) == 0
