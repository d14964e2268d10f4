"""Reach: a change that no run executed is never silently the same."""

from __future__ import annotations

from pathlib import Path

from exhausters.reach.changed_lines import changed_files, compare_files, executable_lines
from exhausters.reach.reached import guards, measure_reach

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
    assert guards(text, frozenset({4, 6}), frozenset({2, 3})) == {4: "b", 6: "not (a)"}
    assert guards(text, frozenset({4}), frozenset({2, 6})) == {4: "a"}
    assert guards(text, frozenset({4}), frozenset()) == {}
