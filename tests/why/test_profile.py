"""The explaining pass of a cell, on the fake scheduler."""

from __future__ import annotations

import pickle

from exhausters.observe.call_tree import function_calls
from exhausters.why.differential import compare_profiles
from tests.why.sides import a_cell, profile


def test_two_runs_are_identical() -> None:
    """A profile is exact: another process or another run has the same one, call by call and line by line."""
    assert profile() == profile()


def test_a_profile_travels() -> None:
    """What the worker returns arrives in the parent as it was, however deep the stacks are."""
    found = profile()
    assert pickle.loads(pickle.dumps(found)) == found


def test_trees_are_no_deeper_than_the_stack() -> None:
    """A call that returns in another phase than it was made in is closed: steps do not nest in each other."""
    found = profile(a_cell(leave_pages=20))
    for places in found.calls.values():
        depths: list[int] = []
        for parent, _, _ in places:
            depths.append(1 + (depths[parent] if parent >= 0 else 0))
        assert max(depths, default=0) < 20
    assert len(found.log) > 20


def test_own_calls_add_up_to_all_calls() -> None:
    """Each call is charged to one function of the engine, so the rows of a table add up to the total."""
    found = profile()
    every = sum(one.calls for root in found.roots().values() for one in function_calls(root).values())
    compared = compare_profiles(found, found)
    assert compared.base_calls * found.steps == every
    assert (compared.calls, compared.lines) == ((), ())


def test_functions_have_a_file_below_the_source_folder_and_a_line() -> None:
    """Functions of the engine are named so that two checkouts of it can be compared."""
    found = profile()
    (form_batch,) = [one for one in found.lines if one.name == "FakeScheduler.form_batch"]
    assert form_batch.file.startswith(found.engine_files)
    assert form_batch.line > 1
    assert found.lines[form_batch].executed >= found.steps
