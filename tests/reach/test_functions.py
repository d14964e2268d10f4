"""Lines belong to functions by name, wherever the function stands in its file."""

from __future__ import annotations

import pytest

from exhausters.reach.functions import Function, callers, lines_by_function, lines_of_text, ranges_text

_FILE = "sglang/srt/adder.py"
_TEXT = """\
LIMIT = 3


class Adder:
    def add(self, queue):
        def key(one):
            return one.priority

        queue.sort(key=key)
        return self.trim(queue)


def order(queue):
    return trim(queue)
"""


def test_a_line_belongs_to_the_innermost_function() -> None:
    """Lines are counted from the `def`; a constant belongs to no function."""
    found = lines_by_function(_FILE, _TEXT, [1, 7, 9, 10, 14])
    assert found == {
        Function(_FILE, "Adder.add.key"): {1},
        Function(_FILE, "Adder.add"): {4, 5},
        Function(_FILE, "order"): {1},
    }


def test_what_stands_above_does_not_move_a_function() -> None:
    """The same lines of a function have the same numbers in a build whose file is longer."""
    moved = "import os\n" * 9 + _TEXT
    assert lines_by_function(_FILE, moved, [18]) == lines_by_function(_FILE, _TEXT, [9])


def test_callers_are_found_by_the_called_name() -> None:
    """As a function and as a method alike."""
    names = {one.name for one in callers(_FILE, _TEXT, frozenset({"trim"}))}
    assert names == {"Adder.add", "order"}


def test_text_that_is_no_python_has_no_functions() -> None:
    """A file that cannot be parsed is not an error: nothing is known of it."""
    assert lines_by_function(_FILE, "def (", [1]) == {}
    assert callers(_FILE, "def (", frozenset({"trim"})) == frozenset()


@pytest.mark.parametrize("lines", [{0}, {1, 2, 3}, {0, 2, 3, 9}])
def test_ranges_are_read_as_they_were_written(lines: set[int]) -> None:
    """Nothing is lost between a set of lines and its text."""
    assert set(lines_of_text(ranges_text(lines))) == lines
