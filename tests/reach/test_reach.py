"""Reach: a change that no run executed is never silently the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from exhausters.reach.changed_lines import changed_files, compare_files, executable_lines
from exhausters.reach.reached import Guard, Reach, guards, measure_reach

_BASE = '''\
"""A module."""


class Policy:
    """Orders requests."""

    limit = 3

    def order(self, queue):
        """Sort them."""
        if self.policy == "priority":
            queue.sort(key=lambda one: one.priority)
        else:
            queue.sort()
        return queue
'''
_HEAD = _BASE.replace("queue.sort(key=lambda one: one.priority)", "queue.sort(key=lambda one: -one.priority)")
_FILE = "sglang/srt/policy.py"


def _tree(folder: Path, text: str) -> Path:
    path = folder / _FILE
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return folder


def test_only_what_a_function_executes_counts() -> None:
    """Docstrings, comments, constants of classes and definitions are no executable lines."""
    assert executable_lines(_BASE) == {11, 12, 14, 15}


def test_comments_and_docstrings_change_nothing() -> None:
    """Two versions that differ in words only have no changed line."""
    other = _BASE.replace('"""Sort them."""', '"""Sort them all."""\n        # in place')
    change = compare_files(_FILE, _BASE, other)
    assert not change.base_lines | change.head_lines | change.import_lines


def test_a_line_inside_a_longer_statement_is_its_first_line() -> None:
    """A tracer reports a statement where it begins, so that is where its change is looked for."""
    base = "def f(a):\n    return max(\n        a,\n        1,\n    )\n"
    assert compare_files(_FILE, base, base.replace("        1,", "        2,")).head_lines & {2, 4}


def test_lines_that_only_a_boot_executes_are_told_apart(tmp_path: Path) -> None:
    """They are neither reached nor missing: no cell can execute them, and equal runs prove little of them."""
    base, head = _tree(tmp_path / "base", _BASE), _tree(tmp_path / "head", _HEAD)
    changes = changed_files(base, head)
    reach = measure_reach(
        changes,
        base=base,
        head=head,
        base_executed={},
        head_executed={},
        imported=frozenset({_FILE}),
        head_booted={_FILE: frozenset({12})},
    )
    assert str(reach) == "0 of 2 changed lines reached, 1 only while booting"
    assert [one.side for one in reach.unreached] == ["base"]
    assert reach.is_nothing_reached


def test_a_changed_constant_is_not_taken_for_reached(tmp_path: Path) -> None:
    """The import executes a class attribute in every worker; whether a run used it is not known, and said."""
    head = _tree(tmp_path / "head", _BASE.replace("limit = 3", "limit = 4"))
    base = _tree(tmp_path / "base", _BASE)
    reach = measure_reach(
        changed_files(base, head),
        base=base,
        head=head,
        base_executed={_FILE: frozenset({7, 11})},
        head_executed={_FILE: frozenset({7, 11})},
        imported=frozenset({_FILE}),
    )
    assert reach.is_nothing_reached
    assert str(reach) == "1 changed lines of constants, whose use is not known"


def test_a_change_behind_a_switch_names_the_switch(tmp_path: Path) -> None:
    """An unreached line says which condition no run met."""
    base, head = _tree(tmp_path / "base", _BASE), _tree(tmp_path / "head", _HEAD)
    executed = {_FILE: frozenset({11, 14, 15})}
    reach = measure_reach(
        changed_files(base, head),
        base=base,
        head=head,
        base_executed=executed,
        head_executed=executed,
        imported=frozenset({_FILE}),
    )
    assert reach.is_nothing_reached
    assert str(reach) == "0 of 2 changed lines reached"
    assert str(reach.unreached[1]) == f"`{_FILE}:12`: guarded by `self.policy == 'priority'`"


def test_reached_lines_are_counted_on_both_sides(tmp_path: Path) -> None:
    """Lines that are gone count where base executed them, new ones where head did."""
    base, head = _tree(tmp_path / "base", _BASE), _tree(tmp_path / "head", _HEAD)
    reach = measure_reach(
        changed_files(base, head),
        base=base,
        head=head,
        base_executed={_FILE: frozenset({12})},
        head_executed={_FILE: frozenset({12})},
        imported=frozenset({_FILE}),
    )
    assert (reach.changed, reach.reached, reach.unreached) == (2, 2, ())


def test_a_file_that_no_worker_imports_is_named(tmp_path: Path) -> None:
    """A change outside what the scheduler imports is unreached, and says why."""
    base, head = _tree(tmp_path / "base", _BASE), _tree(tmp_path / "head", _HEAD)
    reach = measure_reach(
        changed_files(base, head),
        base=base,
        head=head,
        base_executed={},
        head_executed={},
        imported=frozenset(),
    )
    assert reach.is_nothing_reached
    assert "does not import" in str(reach.unreached[0])


def test_files_that_only_one_side_has(tmp_path: Path) -> None:
    """A new file is all new lines; a removed one all gone."""
    base, head = tmp_path / "base", _tree(tmp_path / "head", _HEAD)
    (base / "sglang").mkdir(parents=True)
    (change,) = changed_files(base, head)
    assert change.is_only_in_head
    assert change.head_lines == {11, 12, 14, 15}
    (back,) = changed_files(head, base)
    assert back.is_only_in_base


def test_the_innermost_condition_that_was_evaluated_is_the_guard() -> None:
    """Of nested conditions the one that stopped the run is named, not one that was never evaluated."""
    text = "def f(a, b):\n    if a:\n        if b:\n            g()\n    else:\n        h()\n"
    assert guards(text, frozenset({4, 6}), frozenset({2, 3})) == {4: Guard(3, "b"), 6: Guard(2, "not (a)")}
    assert guards(text, frozenset({4}), frozenset({2, 6})) == {4: Guard(2, "a")}
    assert guards(text, frozenset({4}), frozenset()) == {}


@pytest.mark.parametrize(
    ("before", "after", "line"),
    [
        ('    if x in (\n        "a",\n        "b",\n    ):\n        g()\n', '        "b",\n', 2),
        ("    for k in [\n        1,\n        2,\n    ]:\n        g()\n", "        2,\n", 2),
        ("    while f(\n        1,\n        2,\n    ):\n        g()\n", "        2,\n", 2),
        (
            "    try:\n        g()\n    except (\n        A,\n        B,\n    ):\n        h()\n",
            "        B,\n",
            4,
        ),
    ],
)
def test_a_condition_of_several_lines_is_its_first_line(before: str, after: str, line: int) -> None:
    """An item less in a condition changes what is executed, although no statement in it changed."""
    base = f"def f(x):\n{before}"
    change = compare_files(_FILE, base, base.replace(after, ""))
    assert change.base_lines & {line, line + 2}
    assert change.base_lines | change.head_lines


def test_a_changed_default_is_a_change() -> None:
    """The import executes it, so that no run is known to have used it: said as for constants."""
    base = "class A:\n    def f(self, x=1):\n        return x\n\n\ndef g(*, y: int = 1):\n    return y\n"
    assert compare_files(_FILE, base, base.replace("x=1", "x=2")).import_lines == {2}
    assert compare_files(_FILE, base, base.replace("int = 1", "int = 2")).import_lines == {6}
    assert compare_files(_FILE, base, base.replace("y: int", "y: float")).import_lines == frozenset()


def test_a_moved_file_is_compared_with_what_it_was(tmp_path: Path) -> None:
    """Under another name a file has as many changed lines as were rewritten in it; a mere move has none."""
    base, head, moved = (tmp_path / name for name in ("base", "head", "moved"))
    for tree, name, text in ((base, "old", _BASE), (head, "new", _HEAD), (moved, "new", _BASE)):
        path = tree / f"sglang/srt/{name}.py"
        path.parent.mkdir(parents=True)
        path.write_text(text)
    new, old = changed_files(base, head)
    assert (old.file, old.base_lines, old.head_lines) == ("sglang/srt/old.py", {12}, frozenset())
    assert (new.file, new.base_lines, new.head_lines) == ("sglang/srt/new.py", frozenset(), {12})
    assert changed_files(base, moved) == ()


def test_what_only_a_condition_was_asked_for_is_not_reached(tmp_path: Path) -> None:
    """A switch that no cell sets is looked at in every step; what is behind it never ran."""
    guarded = _BASE.replace(
        "        return queue", "        if FLAG:\n            queue.reverse()\n        return queue"
    )
    base, head = _tree(tmp_path / "base", _BASE), _tree(tmp_path / "head", guarded)

    def reach(executed: set[int]) -> Reach:
        lines = {_FILE: frozenset(executed)}
        return measure_reach(
            changed_files(base, head),
            base=base,
            head=head,
            base_executed=lines,
            head_executed=lines,
            imported=frozenset({_FILE}),
        )

    asked = reach({11, 14, 15, 17})
    assert asked.is_nothing_reached
    assert (asked.reached, asked.only_guards, asked.missing) == (1, 1, 1)
    assert not reach({11, 14, 15, 16, 17}).is_nothing_reached
