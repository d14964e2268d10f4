"""Executed lines: exact counts of watched files, nothing of others."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from exhausters.observe.executed_lines import ExecutedLines

_SOURCE = """\
def scan(queue, wanted):
    for one in queue:
        if one == wanted:
            return one
    return None


def call(function):
    before = 1
    function()
    return before
"""


@pytest.fixture(name="watched")
def _watched(tmp_path: Path) -> ModuleType:
    """A module in a folder of its own."""
    file = tmp_path / "watched.py"
    file.write_text(_SOURCE)
    spec = importlib.util.spec_from_file_location("watched", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _by_name(lines: ExecutedLines) -> dict[str, dict[int, int]]:
    return {code.co_name: counts for code, counts in lines.by_function().items()}


@pytest.fixture(autouse=True)
def _tracing_as_before() -> object:
    """A debugger or coverage may trace this process: give it back."""
    before = sys.gettrace()
    yield
    sys.settrace(before)


def test_a_loop_that_makes_no_call_shows_in_its_lines(watched: ModuleType, tmp_path: Path) -> None:
    """A scan over a longer queue executes more lines, though it makes as many calls."""
    found = []
    for length in (10, 30):
        lines = ExecutedLines([str(tmp_path)])
        lines.enter("form_batch")
        watched.scan(range(length), -1)
        lines.leave()
        found.append(_by_name(lines)["scan"])
    assert found == [{2: 11, 3: 10, 5: 1}, {2: 31, 3: 30, 5: 1}]


def test_lines_are_those_of_watched_files_only(watched: ModuleType, tmp_path: Path) -> None:
    """Functions of other folders leave nothing, and lines that did not run are absent."""
    lines = ExecutedLines([str(tmp_path)])
    lines.enter("form_batch")
    watched.call(lambda: sorted([2, 1]))
    lines.leave()
    assert lines.by_file() == {str(tmp_path / "watched.py"): {9: 1, 10: 1, 11: 1}}


def test_a_choice_of_files(watched: ModuleType, tmp_path: Path) -> None:
    """With files named, lines of those are recorded as without, and lines of others are not."""
    for files, found in (([str(tmp_path / "watched.py")], {9, 10, 11}), (["/elsewhere.py"], set())):
        lines = ExecutedLines([str(tmp_path)], files=files)
        lines.enter("form_batch")
        watched.call(lambda: None)
        lines.leave()
        assert set(lines.by_file().get(str(tmp_path / "watched.py"), ())) == found


def test_what_runs_between_steps_is_not_counted(watched: ModuleType, tmp_path: Path) -> None:
    """Between `leave` and `enter` nothing counts, and a function that was running counts on afterwards."""
    lines = ExecutedLines([str(tmp_path)])

    def between() -> None:
        lines.leave()
        watched.scan([1], 1)
        lines.enter("run")

    lines.enter("form_batch")
    watched.call(between)
    lines.leave()
    assert _by_name(lines) == {"call": {9: 1, 10: 1, 11: 1}}


def test_functions_that_run_already_are_counted_from_then_on(watched: ModuleType, tmp_path: Path) -> None:
    """The event loop itself is running when counting begins: its further lines count."""
    lines = ExecutedLines([str(tmp_path)])
    watched.call(lambda: lines.enter("receive"))
    lines.leave()
    assert _by_name(lines) == {"call": {11: 1}}
