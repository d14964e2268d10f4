"""The tree of calls: exact counts along each path, by phase."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from exhausters.observe.call_tree import (
    CallTree,
    Function,
    below_path,
    collapsed_stacks,
    function_calls,
    speedscope,
)


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


class _Events:
    """Stands where the interpreter's profiler stands: calls and returns happen when the test says so."""

    def __init__(self) -> None:
        self.note: Any = None

    def tell(self, event: str, frame: Any, builtin: Any = None) -> None:
        """One event, if anybody listens."""
        if self.note is not None:
            self.note(frame, event, builtin)


def _frame(function: Callable[..., Any]) -> Any:
    return SimpleNamespace(f_code=function.__code__)


@pytest.fixture(name="events")
def _events() -> Iterator[_Events]:
    events = _Events()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "setprofile", lambda note: setattr(events, "note", note))
        yield events


def _paths(tree: CallTree) -> dict[str, int]:
    """Calls by path, without the files."""
    lines = [line.rpartition(" ") for line in collapsed_stacks(tree.roots)]
    return {
        ";".join(part.partition(" (")[0] for part in path.split(";")): int(count) for path, _, count in lines
    }


def test_the_same_path_is_one_node(events: _Events) -> None:
    """Calls along one path add up; a C function that raised has returned as well as one that did not."""
    tree, above, below = CallTree(), _frame(twice), _frame(leaf)
    tree.enter("run")
    events.tell("call", above)
    events.tell("c_return", above, len)  # of a call that was made before: `above` itself has not returned
    for end in ("c_return", "c_exception"):
        events.tell("call", below)
        events.tell("c_call", below, len)
        events.tell(end, below, len)
        events.tell("return", below)
    events.tell("return", above)
    events.tell("call", below)
    tree.leave()
    assert events.note is None
    assert _paths(tree) == {
        "run;twice": 1,
        "run;twice;leaf": 2,
        "run;twice;leaf;builtins.len": 2,
        "run;leaf": 1,
    }


def test_own_code_is_left_out_unless_it_is_the_engine(events: _Events) -> None:
    """What this project's code calls counts under the function above it; a fake engine's code counts."""
    own, folder = _frame(function_calls), str(Path(function_calls.__code__.co_filename).parent)
    trees = {"own": CallTree(), "engine": CallTree([folder])}
    for name, tree in trees.items():
        tree.enter(name)
        events.tell("call", _frame(twice))
        events.tell("call", own)
        events.tell("c_call", own, len)
        events.tell("c_return", own, len)
        events.tell("return", own)
        events.tell("call", _frame(leaf))
        tree.leave()
    assert _paths(trees["own"]) == {"own;twice": 1, "own;twice;leaf": 1}
    assert _paths(trees["engine"]) == {
        "engine;twice": 1,
        "engine;twice;function_calls": 1,
        "engine;twice;function_calls;builtins.len": 1,
        "engine;twice;leaf": 1,
    }


def test_a_call_that_returns_in_another_phase_is_closed(events: _Events) -> None:
    """A function that a phase leaves open ends where it returns; one from before all phases is in none."""
    tree, outer, before = CallTree(), _frame(twice), _frame(fails)
    tree.enter("form")
    events.tell("call", outer)
    tree.enter("run")
    events.tell("return", before)
    events.tell("return", outer)
    events.tell("c_return", outer, len)  # of a call that was made before the phase began
    tree.enter("form")
    events.tell("call", _frame(leaf))
    tree.leave()
    assert _paths(tree) == {"form;twice": 1, "form;leaf": 1}


def test_c_functions_are_named_with_their_owner(events: _Events) -> None:
    """Two builds are compared by names, so none may have an address of this process in it."""
    tree, frame = CallTree(), _frame(leaf)
    tree.enter("run")
    for builtin in (len, [].append, json.loads("{}").get, {}.get):
        events.tell("c_call", frame, builtin)
        events.tell("c_return", frame, builtin)
    tree.leave()
    assert _paths(tree) == {"run;builtins.len": 1, "run;builtins.list.append": 1, "run;builtins.dict.get": 2}


def test_a_file_is_named_by_the_folder_that_is_imported_from(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two builds lie in two folders; a file that none of them has keeps its whole path."""
    monkeypatch.setattr(sys, "path", ["", "/base/site/", "/base"])
    assert below_path("/base/site/package/file.py") == "package/file.py"
    assert below_path("/base/other.py") == "other.py"
    assert below_path("/elsewhere/file.py") == "/elsewhere/file.py"
