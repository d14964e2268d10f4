"""Wrappers see every call while they are there, and leave nothing behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from exhausters.engine.wrap import wrap, wrap_calls
from exhausters.errors import SeamError


class Doubler:
    """Something with a method."""

    def double(self, value: int) -> int:
        return 2 * value


class Heir(Doubler):
    """Something that only inherits it."""


def test_calls_of_an_instance() -> None:
    """The call goes through, is told with its result, and the instance is as it was afterwards."""
    told: list[Any] = []
    one, other = Doubler(), Doubler()
    take_off = wrap_calls(one, "double", lambda result, first: told.append((result, first)))
    assert (one.double(3), other.double(4)) == (6, 8)
    take_off()
    assert one.double(5) == 10
    assert told == [(6, 3)]
    assert vars(one) == {}


def test_calls_of_a_class() -> None:
    """Every instance is observed, as first argument; afterwards the class has its own function back."""
    told: list[Any] = []
    before = Doubler.double
    take_off = wrap_calls(Doubler, "double", lambda result, first: told.append((result, first)))
    one = Doubler()
    assert one.double(3) == 6
    take_off()
    assert Doubler.double is before
    assert told == [(6, one)]


def test_calls_of_an_inherited_function() -> None:
    """The heir's calls are observed and its parent's are not; afterwards both do what they did."""
    told: list[Any] = []
    take_off = wrap_calls(Heir, "double", lambda result, first: told.append(result))
    assert (Heir().double(1), Doubler().double(2)) == (2, 4)
    take_off()
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
        wrap_calls(Doubler(), "triple", lambda result, first: None)
