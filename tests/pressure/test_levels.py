"""Levels are checked in one place, and a bad one is refused by name."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exhausters.errors import LevelError, UsageError
from exhausters.pressure import PressureLevels, check_level

LEVEL_NAMES = ("leave_pages", "leave_refs", "leave_rows")


@given(st.sampled_from(LEVEL_NAMES), st.integers(min_value=0))
def test_every_count_is_a_level(name: str, value: int) -> None:
    """Any integer from 0 up is accepted, and comes back unchanged."""
    assert check_level(name, value) == value


@pytest.mark.parametrize("name", LEVEL_NAMES)
@pytest.mark.parametrize("value", [-3, 1.0, "4", None, True, False])
def test_bad_level_is_refused_by_name(name: str, value: object) -> None:
    """The message names the level, the value, and what was expected."""
    with pytest.raises(LevelError, match=f"^{name}={value!r}: must be an integer >= 0".replace("'", ".")):
        check_level(name, value)


@pytest.mark.parametrize("name", LEVEL_NAMES)
def test_levels_are_checked_when_made(name: str) -> None:
    """No `PressureLevels` with a bad level exists."""
    with pytest.raises(LevelError, match=f"{name}=-1"):
        PressureLevels(held=False, **{name: -1})


def test_held_is_a_bool() -> None:
    """`held=1` is a slip, as `leave_pages=True` is."""
    with pytest.raises(LevelError, match="held=1"):
        PressureLevels(held=1)  # type: ignore[arg-type]


def test_given_leaves_out_what_is_left_alone() -> None:
    """A level of 0 is given; None is not."""
    assert PressureLevels(leave_pages=0, leave_rows=3).given() == {"leave_pages": 0, "leave_rows": 3}
    assert PressureLevels().given() == {}


def test_levels_are_frozen() -> None:
    """A cell's levels cannot change under way."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        PressureLevels().held = True  # type: ignore[misc]


def test_a_level_error_is_a_value_error() -> None:
    """Callers who know nothing of this project catch what they expect."""
    assert issubclass(LevelError, UsageError)
    assert issubclass(LevelError, ValueError)
