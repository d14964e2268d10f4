"""The worker's side of the plugin, on the fake engine in this process."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from exhausters.errors import ScriptFailedError
from exhausters.pytest_plugin import player
from exhausters.pytest_plugin.player import kept_steps, play
from exhausters.pytest_plugin.steps_text import KEPT_STEPS
from exhausters.worker.script_ref import script_ref
from tests.fakes.fake_engine import ScriptRunner


def _counts_to(t: Any, steps: int) -> Iterator[None]:
    for _ in range(steps):
        yield
    return steps  # type: ignore[return-value]


def _takes_no_step(t: Any, value: int) -> int:
    return value + 1


def _breaks(t: Any) -> Iterator[None]:
    yield
    raise AssertionError("broken after a step")


def test_scripts_with_and_without_steps_return_what_they_return() -> None:
    """A plain function is a script too; steps of the one before are not those of the next."""
    runner = ScriptRunner()
    assert runner.run(play, script_ref(_counts_to), (3,)) == 3
    assert len(runner.run(kept_steps)) == 3
    assert runner.run(play, script_ref(_takes_no_step), (3,)) == 4
    assert runner.run(kept_steps) == ()


def test_the_last_steps_are_kept_of_what_fails_too() -> None:
    """They are what a failing test shows; of a long script only the last ones."""
    runner = ScriptRunner()
    with pytest.raises(ScriptFailedError, match="broken after a step"):
        runner.run(play, script_ref(_breaks), ())
    assert [one.step for one in runner.run(kept_steps)] == [0]
    runner.run(play, script_ref(_counts_to), (KEPT_STEPS + 5,))
    kept = runner.run(kept_steps)
    assert [one.step for one in kept] == list(range(5, KEPT_STEPS + 5))


_FILE = """
import pytest
from pytest import mark

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def one(): return 1


@mark.parametrize("x", [pytest.param(1, id="a")])
def kept(x: pytest.MonkeyPatch): return x
"""


def test_a_script_s_file_may_import_pytest_where_there_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Marks, fixtures and types at the top of it change nothing: its functions are what they are."""
    monkeypatch.delitem(sys.modules, "pytest")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    player._stand_in_for_pytest()
    found: dict[str, Any] = {}
    exec(compile(_FILE, "mine.py", "exec"), found)
    assert found["kept"](7) == 7
    assert found["one"]() == 1
    stand_in = sys.modules["pytest"]
    with pytest.raises(AttributeError, match=r"pytest\.raises: the worker's environment has no pytest"):
        stand_in.raises(ValueError)
    # What asks for a special name must not take the stand-in for something that it is not.
    assert not hasattr(stand_in.mark, "__wrapped__")


def test_pytest_itself_is_left_alone() -> None:
    """Where the environment has it, scripts get the real one."""
    player._stand_in_for_pytest()
    assert sys.modules["pytest"] is pytest
