"""Probes see every call while they are there, and leave nothing behind."""

from __future__ import annotations

from typing import Any

import pytest

from exhausters.errors import SeamError
from exhausters.observe.probes import CallProbe, eviction_method, tokens_asked, tokens_given
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
    assert tokens_given(None) == 0
