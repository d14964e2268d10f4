"""Counts every call by the path that led to it: which function calls how often, exactly, by phase.

Slower than counting alone (`work.py`), because each call goes through a Python function: for a pass that
explains a difference, never for one that is timed. Calls that this project's own code makes or receives are
left out; what SGLang calls below them is counted under the SGLang function above them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

_OWN_FOLDER = str(Path(__file__).resolve().parent.parent)


@dataclass(frozen=True, slots=True, order=True)
class Function:
    """One function, named so that two builds can be compared.

    Attributes:
        name: qualified name; of a C function with its module.
        file: path below the first folder of `sys.path` that holds it; empty for a C function.
        line: first line of its definition; 0 for a C function.
    """

    name: str
    file: str = ""
    line: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return f"{self.name} ({self.file}:{self.line})" if self.file else self.name


@dataclass(slots=True)
class CallNode:
    """One function, called along one path.

    Attributes:
        function: what was called.
        calls: how often.
        children: what it called, by function.
    """

    function: Function
    calls: int = 0
    children: dict[Function, CallNode] = field(default_factory=dict)

    def child(self, function: Function) -> CallNode:
        """The node of a callee, made by its first call."""
        node = self.children.get(function)
        if node is None:
            node = self.children[function] = CallNode(function)
        return node


# A call that has not returned: its node, its frame (of a C function that of its caller), whether it is C.
_OpenCall = tuple[CallNode, FrameType | None, bool]


class CallTree:
    """A phase listener that builds one tree of calls per phase.

    Attributes:
        roots: by phase, a node without calls of its own.
    """

    def __init__(self, engine_folders: Sequence[str] = ()) -> None:
        """See the class; `engine_folders` are counted even where they are part of this project's code."""
        self._engine_folders = tuple(folder.rstrip("/") + "/" for folder in engine_folders)
        self._is_own: dict[CodeType, bool] = {}
        self.roots: dict[str, CallNode] = {}
        # Open calls of each phase, with their frames: a phase that another interrupts goes on where it was.
        self._open: dict[str, list[_OpenCall]] = {}
        self._stack: list[_OpenCall] = []
        self._functions: dict[Any, Function] = {}

    def enter(self, phase: str) -> None:
        """`phase` begins or goes on."""
        if phase not in self.roots:
            sys.setprofile(None)  # the phase before is still watched, and a node is made by calls
            self.roots[phase] = CallNode(Function(phase))
            self._open[phase] = [(self.roots[phase], None, False)]
        self._stack = self._open[phase]
        sys.setprofile(self._note)

    def leave(self) -> None:
        """The step has ended: the harness's own code runs until the next phase begins."""
        sys.setprofile(None)

    def _note(self, frame: FrameType, event: str, argument: Any) -> None:
        try:
            is_own = self._is_own[frame.f_code]
        except KeyError:
            name = frame.f_code.co_filename
            is_own = name.startswith(_OWN_FOLDER) and not name.startswith(self._engine_folders)
            self._is_own[frame.f_code] = is_own
        if is_own:
            return
        stack = self._stack
        if event == "call":
            self._push(frame, self._python(frame.f_code), is_native=False)
        elif event == "c_call":
            self._push(frame, self._native(argument), is_native=True)
        else:
            _, open_frame, is_native = stack[-1]
            if open_frame is frame and is_native == (event != "return"):
                stack.pop()
            elif event == "return":
                self._return_elsewhere(frame)

    def _return_elsewhere(self, frame: FrameType) -> None:
        """Close a call that another phase opened; what was called before any phase began is in none."""
        for stack in self._open.values():
            for place, (_, open_frame, is_native) in enumerate(stack):
                if open_frame is frame and not is_native:
                    del stack[place:]
                    break

    def _push(self, frame: FrameType, function: Function, *, is_native: bool) -> None:
        node = self._stack[-1][0].child(function)
        node.calls += 1
        self._stack.append((node, frame, is_native))

    def _python(self, code: CodeType) -> Function:
        function = self._functions.get(code)
        if function is None:
            function = self._functions[code] = Function(
                code.co_qualname, below_path(code.co_filename), code.co_firstlineno
            )
        return function

    def _native(self, builtin: Any) -> Function:
        module, name = getattr(builtin, "__module__", None), getattr(builtin, "__qualname__", repr(builtin))
        key = module, name
        function = self._functions.get(key)
        if function is None:
            owner = module or type(getattr(builtin, "__self__", None)).__module__
            function = self._functions[key] = Function(f"{owner}.{name}")
        return function


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionCalls:
    """What one function cost in one phase.

    Attributes:
        calls: how often it was called.
        inclusive_calls: those calls and all below them; below a recursion counted once.
    """

    calls: int
    inclusive_calls: int


def function_calls(root: CallNode) -> dict[Function, FunctionCalls]:
    """Return the calls of every function of one phase."""
    calls: dict[Function, int] = {}
    inclusive: dict[Function, int] = {}
    # (node, whether its subtree is done): post-order without recursion, because paths are deep.
    below: dict[int, int] = {}
    stack = [(child, False) for child in root.children.values()]
    open_functions: dict[Function, int] = {}
    while stack:
        node, is_done = stack.pop()
        if not is_done:
            open_functions[node.function] = open_functions.get(node.function, 0) + 1
            stack.append((node, True))
            stack.extend((child, False) for child in node.children.values())
            continue
        total = node.calls + sum(below.pop(id(child)) for child in node.children.values())
        below[id(node)] = total
        calls[node.function] = calls.get(node.function, 0) + node.calls
        open_functions[node.function] -= 1
        if not open_functions[node.function]:  # the outermost call of a recursion
            inclusive[node.function] = inclusive.get(node.function, 0) + total
    return {
        function: FunctionCalls(calls=count, inclusive_calls=inclusive[function])
        for function, count in calls.items()
    }


def collapsed_stacks(roots: Mapping[str, CallNode]) -> Iterator[str]:
    """Yield lines `phase;function;function count`, the form that flame graph tools read; counts are calls."""
    for path, node in _paths(roots):
        yield f"{';'.join(str(function).replace(';', ',') for function in path)} {node.calls}"


def speedscope(roots: Mapping[str, CallNode], *, title: str) -> dict[str, Any]:
    """Return the file that speedscope opens: a sampled profile whose weights are calls."""
    frames: dict[Function, int] = {}
    samples: list[list[int]] = []
    weights: list[int] = []
    for path, node in _paths(roots):
        samples.append([frames.setdefault(function, len(frames)) for function in path])
        weights.append(node.calls)
    return {
        "$schema": "https://www.speedscope.app/file-format-schema.json",
        "name": title,
        "shared": {"frames": [_frame(function) for function in frames]},
        "profiles": [
            {
                "type": "sampled",
                "name": title,
                "unit": "none",
                "startValue": 0,
                "endValue": sum(weights),
                "samples": samples,
                "weights": weights,
            }
        ],
    }


def _frame(function: Function) -> dict[str, Any]:
    if not function.file:
        return {"name": function.name}
    return {"name": function.name, "file": function.file, "line": function.line}


def _paths(roots: Mapping[str, CallNode]) -> Iterator[tuple[tuple[Function, ...], CallNode]]:
    stack: list[tuple[tuple[Function, ...], CallNode]]
    stack = [((root.function,), root) for root in reversed(list(roots.values()))]
    while stack:
        path, node = stack.pop()
        if node.calls:
            yield path, node
        stack.extend(((*path, child.function), child) for child in reversed(list(node.children.values())))


def below_path(file_name: str) -> str:
    """Return a file's or folder's path below the first folder of `sys.path` that holds it."""
    for folder in sys.path:
        if folder and file_name.startswith(folder.rstrip("/") + "/"):
            return file_name[len(folder.rstrip("/")) + 1 :]
    return file_name
