"""The tree of calls: exact counts along each path, by phase."""

from __future__ import annotations

import json
from typing import Any

import pytest

from exhausters.observe.call_tree import CallTree, Function, collapsed_stacks, function_calls, speedscope


def leaf() -> int:
    return len("x")


def twice() -> int:
    return leaf() + leaf()


def recursive(depth: int) -> int:
    return recursive(depth - 1) if depth else leaf()


def fails() -> None:
    raise KeyError


def _by_name(found: dict[Function, Any]) -> dict[str, tuple[int, int]]:
    return {function.name: (one.calls, one.inclusive_calls) for function, one in found.items()}


def _watched(*calls: Any) -> CallTree:
    tree = CallTree()
    tree.enter("run")
    for call in calls:
        call()
    tree.leave()
    return tree


def test_counts_calls_alone_and_with_all_below_them() -> None:
    """A function's inclusive calls are its own and those of everything under it, C functions too."""
    found = _by_name(function_calls(_watched(twice, leaf).roots["run"]))
    assert found["twice"] == (1, 5)  # twice, 2 × leaf, 2 × len
    assert found["leaf"] == (3, 6)
    assert found["builtins.len"] == (3, 3)


def test_a_recursion_is_counted_once() -> None:
    """What is below a recursive function counts for its outermost call only."""
    found = _by_name(function_calls(_watched(lambda: recursive(3)).roots["run"]))
    assert found["recursive"] == (4, 6)


def test_a_phase_goes_on_where_another_interrupted_it() -> None:
    """Calls of an inner phase are not those of the outer one, whose path continues afterwards."""
    tree = CallTree()

    def outer() -> None:
        leaf()
        tree.enter("evict")
        leaf()
        tree.enter("form")
        leaf()

    tree.enter("form")
    outer()
    tree.leave()
    assert _by_name(function_calls(tree.roots["form"]))["leaf"][0] == 2
    assert _by_name(function_calls(tree.roots["evict"]))["leaf"][0] == 1
    (path,) = [line for line in collapsed_stacks(tree.roots) if line.startswith("form") and "leaf" in line][
        :1
    ]
    assert "outer" in path


def test_own_code_between_steps_is_not_counted() -> None:
    """Between `leave` and the next `enter` nothing is counted, and the open path is found again."""
    tree = CallTree()

    def outer() -> None:
        tree.leave()
        leaf()
        tree.enter("run")
        twice()

    tree.enter("run")
    outer()
    leaf()
    tree.leave()
    assert _by_name(function_calls(tree.roots["run"]))["leaf"][0] == 3
    names = [function.name.rsplit(".", 1)[-1] for function in tree.roots["run"].children]
    assert names[:2] == ["outer", "leaf"]


def test_an_exception_leaves_the_path() -> None:
    """A function that raises has ended: what is called next is not below it."""

    def caught() -> None:
        with pytest.raises(KeyError):
            fails()

    tree = _watched(caught, leaf)
    assert "leaf" in {function.name for function in tree.roots["run"].children}


def test_exports_name_file_line_and_calls() -> None:
    """Collapsed stacks and the speedscope file carry the same counts; the latter is JSON."""
    tree = _watched(twice)
    lines = list(collapsed_stacks(tree.roots))
    assert any(line.startswith("run;twice (") and line.endswith("builtins.len 2") for line in lines)
    document = json.loads(json.dumps(speedscope(tree.roots, title="cell")))
    profile = document["profiles"][0]
    assert (
        sum(profile["weights"]) == profile["endValue"] == sum(int(line.rsplit(" ", 1)[1]) for line in lines)
    )
    assert {"name": "builtins.len"} in document["shared"]["frames"]
