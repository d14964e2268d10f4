"""The explaining pass of one cell, run inside the worker: who calls what how often, and which lines run.

Exact and repeatable, like all counts. Returned as plain values, because a tree of objects as deep as SGLang's
stack does not travel well.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from types import CodeType

from exhausters.observe.call_tree import CallNode, CallTree, Function, below_path
from exhausters.observe.decision_log import DecisionLog
from exhausters.observe.executed_lines import ExecutedLines, LineCounts
from exhausters.scripted.context import ScriptedContext
from exhausters.scripted.reset import reset_engine
from exhausters.sweep.cell import Cell
from exhausters.sweep.drain import one_pass
from exhausters.sweep.run_options import RunOptions
from exhausters.workloads import Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionLines:
    """The lines of one function of the engine that were executed.

    Attributes:
        executed: how often any line of it was executed.
        hottest_line: number of the line that was executed most often.
        hottest_executed: how often that one was.
    """

    executed: int
    hottest_line: int
    hottest_executed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CellProfile:
    """What one run of a cell executed.

    Attributes:
        outcome: how the run ended; one of `exhausters.sweep.record.OUTCOMES`.
        log: its decisions.
        engine_files: how the paths of the engine's own files begin in `functions`, e.g. `sglang/`.
        functions: every function that was called; `calls` names them by position.
        calls: by phase, the tree of calls as (position of the parent in this tuple or -1, function, calls).
        lines: executed lines of each function of the engine.
    """

    outcome: str
    log: DecisionLog
    engine_files: tuple[str, ...]
    functions: tuple[Function, ...]
    calls: Mapping[str, tuple[tuple[int, int, int], ...]]
    lines: Mapping[Function, FunctionLines]

    @property
    def steps(self) -> int:
        """Steps of the run."""
        return len(self.log)

    def roots(self) -> dict[str, CallNode]:
        """Return the trees of calls, by phase."""
        return {phase: self._tree(phase) for phase in self.calls}

    def _tree(self, phase: str) -> CallNode:
        root = CallNode(Function(phase))
        nodes: list[CallNode] = []
        for parent, function, calls in self.calls[phase]:
            node = (nodes[parent] if parent >= 0 else root).child(self.functions[function])
            node.calls = calls
            nodes.append(node)
        return root


class _NoListener:
    """A phase listener that does nothing."""

    def enter(self, phase: str) -> None:
        """Do nothing."""

    def leave(self) -> None:
        """Do nothing."""


def profile_cell(
    context: ScriptedContext, cell: Cell, workload: Workload, options: RunOptions
) -> Generator[None, None, CellProfile]:
    """Run one cell three times: plainly, with its calls watched, with its lines watched.

    The plain run pays for what a process makes only once, so that the counts are the same in every process.

    Raises:
        ScriptFailedError, PressureError, ConservationError: as `run_cell`.
    """
    folders = (context.engine.source_folders().watched,)
    plain = yield from one_pass(context, cell, workload, options, _NoListener())
    yield from _again(context)
    tree = CallTree(folders)
    yield from one_pass(context, cell, workload, options, tree)
    yield from _again(context)
    lines = ExecutedLines(folders)
    yield from one_pass(context, cell, workload, options, lines)
    functions: dict[Function, int] = {}
    return CellProfile(
        outcome=plain.outcome,
        log=plain.log,
        engine_files=tuple(below_path(folder.rstrip("/")) + "/" for folder in folders),
        calls={phase: _flat(root, functions) for phase, root in tree.roots.items()},
        functions=tuple(functions),
        lines=_by_function(lines),
    )


def _again(context: ScriptedContext) -> Generator[None, None, None]:
    yield from reset_engine(context)
    context.begin_script()


def _flat(root: CallNode, functions: dict[Function, int]) -> tuple[tuple[int, int, int], ...]:
    """Parents before children; `functions` gains what is called for the first time."""
    found: list[tuple[int, int, int]] = []
    stack = [(-1, child) for child in reversed(root.children.values())]
    while stack:
        parent, node = stack.pop()
        place = len(found)
        found.append((parent, functions.setdefault(node.function, len(functions)), node.calls))
        stack.extend((place, child) for child in reversed(node.children.values()))
    return tuple(found)


def _by_function(lines: ExecutedLines) -> dict[Function, FunctionLines]:
    # Functions of one name in one file, such as two lambdas of a method, are one here and in the tree.
    counts: dict[Function, LineCounts] = {}
    for code, executed in lines.by_function().items():
        mine = counts.setdefault(_function(code), {})
        for line, count in executed.items():
            mine[line] = mine.get(line, 0) + count
    found = {}
    for function, mine in counts.items():
        hottest = max(mine, key=lambda line: (mine[line], -line))
        found[function] = FunctionLines(
            executed=sum(mine.values()), hottest_line=hottest, hottest_executed=mine[hottest]
        )
    return found


def _function(code: CodeType) -> Function:
    return Function(code.co_qualname, below_path(code.co_filename), code.co_firstlineno)
