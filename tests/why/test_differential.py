"""The differential profile: what head executes more or less often than base, function by function."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from exhausters.observe.call_tree import Function
from exhausters.observe.decision_log import DecisionLog
from exhausters.observe.step_record import IDLE, StepRecord
from exhausters.why.differential import MAX_ROWS, compare_profiles, explaining
from exhausters.why.profile import CellProfile, FunctionLines
from tests.why.sides import SCAN, changed, profile

A, B = Function("A.run", "engine/a.py", 10), Function("B.find", "engine/b.py", 20)
MOVED_A = Function("A.run", "engine/a.py", 15)
LIBRARY = Function("builtins.len")


def _profile(*nodes: tuple[int, Function, int], steps: int = 1, **lines: Any) -> CellProfile:
    functions = tuple(dict.fromkeys(function for _, function, _ in nodes))
    return CellProfile(
        outcome="drained",
        log=DecisionLog(tuple(StepRecord(step=number, mode=IDLE) for number in range(steps))),
        engine_files=("engine/",),
        functions=functions,
        calls={"run": tuple((parent, functions.index(one), calls) for parent, one, calls in nodes)},
        lines=lines.get("lines", {}),
    )


def test_library_calls_count_for_the_function_that_makes_them() -> None:
    """A call of a library is the own call of the engine's function above it, and of none further up."""
    base = _profile((-1, A, 1), (0, B, 2), (1, LIBRARY, 4))
    head = _profile((-1, A, 1), (0, B, 2), (1, LIBRARY, 10))
    (row,) = compare_profiles(base, head).calls
    assert (row.head_function, row.phase) == (B, "run")
    assert (row.base.calls, row.base.own, row.base.inclusive) == (2, 6, 6)
    assert (row.head.calls, row.head.own, row.head.inclusive) == (2, 12, 12)


def test_lines_of_both_sides_are_named_and_matched_by_file_and_name() -> None:
    """A function that only moved in its file is one function, with its line on both sides."""
    (row,) = compare_profiles(_profile((-1, A, 1)), _profile((-1, MOVED_A, 3))).calls
    assert row.base_function is not None
    assert row.head_function is not None
    assert (row.base_function.line, row.head_function.line) == (10, 15)
    assert row.difference == 2


def test_counts_are_per_step() -> None:
    """Twice the calls in twice the steps is no difference."""
    assert compare_profiles(_profile((-1, A, 3)), _profile((-1, A, 6), steps=2)).calls == ()


def test_calls_of_the_loop_itself_are_its_own() -> None:
    """What is called by no function of the engine is charged to the event loop, not lost."""
    (row,) = compare_profiles(_profile((-1, LIBRARY, 1)), _profile((-1, LIBRARY, 4))).calls
    assert row.head_function is not None
    assert row.head_function.name == "event loop"
    assert row.difference == 3


@pytest.mark.parametrize(("counts", "shown"), [((80, 10, 10), 1), ((50, 30, 20), 2), ((1,) * 30, MAX_ROWS)])
def test_the_few_that_explain_come_first(counts: tuple[int, ...], shown: int) -> None:
    """The largest differences are shown until they are 80 % of all, and never more than ten."""
    functions = [Function(f"f{number}", "engine/f.py", number) for number in range(len(counts))]
    head = _profile(*((-1, one, count) for one, count in zip(functions, counts, strict=True)))
    rows, share = explaining(compare_profiles(_profile(), head).calls)
    assert len(rows) == shown
    assert share == pytest.approx(sum(sorted(counts)[-shown:]) / sum(counts))


def test_only_one_side() -> None:
    """A function that head does not execute any more is there, without a line on that side."""
    lines = {A: FunctionLines(executed=8, hottest_line=12, hottest_executed=5)}
    found = compare_profiles(_profile((-1, A, 1), lines=lines), _profile())
    assert found.calls[0].head_function is None
    assert (found.lines[0].head_function, found.lines[0].difference) == (None, -8)


def test_a_linear_scan_stands_out_in_lines_where_calls_do_not_move() -> None:
    """A loop over the queue makes no calls, and is the first row of the executed lines, with its line."""
    base = profile()
    with changed("form_batch", SCAN):
        head = profile()
    assert base.log.digest == head.log.digest
    found = compare_profiles(base, head)
    assert found.calls == ()
    (row,), share = explaining(found.lines)
    assert row.head_function is not None
    assert row.head_function.name == "FakeScheduler.form_batch"
    assert share == 1.0
    assert row.difference > 1


def test_an_extra_call_is_found_where_it_is_made() -> None:
    """A call more per step is one row, in its phase, and the row is exact."""
    base = profile()
    with changed("form_batch", "self.is_idle()"):
        head = profile()
    rows, _ = explaining(compare_profiles(base, head).calls)
    assert rows[0].phase == "form_batch"
    assert sum(one.difference for one in rows) >= 1


def test_a_run_without_steps_can_be_compared() -> None:
    """A build that fails in its first step has a profile of nothing."""
    empty = replace(_profile((-1, A, 1)), log=DecisionLog(()))
    assert compare_profiles(empty, empty).calls == ()
