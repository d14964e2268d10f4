"""The differential profile of two builds: which functions cost more or less per step, exactly, by phase.

Functions are the same if file and qualified name are; lines may differ. A function of the engine is charged
with its own calls and with all calls that it makes to libraries (`own`), so that a table names code that the
author of a change can change, and the rows add up to the difference of the totals.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from exhausters.observe.call_tree import CallNode, Function, function_calls
from exhausters.why.profile import CellProfile

# Greedy: the largest differences first, until they are this part of all differences, or this many.
EXPLAINED_SHARE = 0.8
MAX_ROWS = 10

EVENT_LOOP = Function("event loop")


@dataclass(frozen=True, slots=True, kw_only=True)
class CallsPerStep:
    """What one function of the engine costs per step in one phase of one build.

    Attributes:
        calls: how often it is called.
        own: those calls, and the calls of library functions below them, down to the next engine function.
        inclusive: those calls and all below them; below a recursion counted once.
    """

    calls: float = 0.0
    own: float = 0.0
    inclusive: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CallDifference:
    """One function whose calls differ, in one phase.

    Attributes:
        phase: one of `exhausters.observe.phases.PHASES`.
        base_function, head_function: with its line in that build; None where it is not called there.
        base, head: what it costs per step.
    """

    phase: str
    base_function: Function | None
    head_function: Function | None
    base: CallsPerStep
    head: CallsPerStep

    @property
    def difference(self) -> float:
        """Own calls per step that head makes more than base."""
        return self.head.own - self.base.own


@dataclass(frozen=True, slots=True, kw_only=True)
class LineDifference:
    """One function of the engine whose executed lines differ, over all phases.

    Attributes:
        base_function, head_function: with its line in that build; None where it is not executed there.
        base, head: lines executed per step.
        hottest_line: the line that the side with more lines executes most often.
    """

    base_function: Function | None
    head_function: Function | None
    base: float
    head: float
    hottest_line: int

    @property
    def difference(self) -> float:
        """Lines per step that head executes more than base."""
        return self.head - self.base


@dataclass(frozen=True, slots=True, kw_only=True)
class DifferentialProfile:
    """How two runs of one cell differ in what they execute.

    Attributes:
        base_calls, head_calls: calls per step, all phases.
        base_lines, head_lines: lines of the engine executed per step.
        calls: the functions whose calls differ, the largest difference first.
        lines: the functions whose executed lines differ, likewise.
    """

    base_calls: float
    head_calls: float
    base_lines: float
    head_lines: float
    calls: tuple[CallDifference, ...]
    lines: tuple[LineDifference, ...]


def compare_profiles(base: CellProfile, head: CellProfile) -> DifferentialProfile:
    """Return everything that differs between the profiles of one cell on two builds."""
    ours, theirs = _engine_calls(base), _engine_calls(head)
    return DifferentialProfile(
        base_calls=sum(cost.own for _, cost in ours.values()),
        head_calls=sum(cost.own for _, cost in theirs.values()),
        base_lines=_lines_per_step(base),
        head_lines=_lines_per_step(head),
        calls=_ordered(_call_differences(ours, theirs)),
        lines=_ordered(_line_differences(base, head)),
    )


_Difference = TypeVar("_Difference", CallDifference, LineDifference)


def explaining(differences: Sequence[_Difference]) -> tuple[tuple[_Difference, ...], float]:
    """Return the few differences that explain most, and which share of all of them they are."""
    total = sum(abs(one.difference) for one in differences)
    chosen: list[_Difference] = []
    covered = 0.0
    for one in differences[:MAX_ROWS]:
        if covered >= EXPLAINED_SHARE * total:
            break
        chosen.append(one)
        covered += abs(one.difference)
    return tuple(chosen), covered / total if total else 1.0


# By phase and function: the function with its line in this build, and its cost.
_Costs = dict[tuple[str, Function], tuple[Function, CallsPerStep]]


def _engine_calls(profile: CellProfile) -> _Costs:
    steps = profile.steps or 1
    found: _Costs = {}
    for phase, root in profile.roots().items():
        own = _own_calls(root, profile.engine_files)
        counted = function_calls(root)
        for function, calls in own.items():
            one = counted.get(function)
            cost = CallsPerStep(
                calls=one.calls / steps if one else 0.0,
                own=calls / steps,
                inclusive=(one.inclusive_calls if one else calls) / steps,
            )
            found[phase, function] = function, cost
    return found


def _own_calls(root: CallNode, engine_files: tuple[str, ...]) -> dict[Function, int]:
    """Calls of each engine function, with those of library functions below it; without one, the loop's."""
    own: dict[Function, int] = {}
    stack = [(child, EVENT_LOOP) for child in root.children.values()]
    while stack:
        node, above = stack.pop()
        owner = node.function if node.function.file.startswith(engine_files) else above
        own[owner] = own.get(owner, 0) + node.calls
        stack.extend((child, owner) for child in node.children.values())
    return own


def _call_differences(base: _Costs, head: _Costs) -> Iterable[CallDifference]:
    for phase, function in {**base, **head}:
        ours, ours_cost = base.get((phase, function), (None, CallsPerStep()))
        theirs, theirs_cost = head.get((phase, function), (None, CallsPerStep()))
        if ours_cost.own != theirs_cost.own:
            yield CallDifference(
                phase=phase,
                base_function=ours,
                head_function=theirs,
                base=ours_cost,
                head=theirs_cost,
            )


def _line_differences(base: CellProfile, head: CellProfile) -> Iterable[LineDifference]:
    named = [{function: function for function in profile.lines} for profile in (base, head)]
    for function in {**base.lines, **head.lines}:
        ours, theirs = base.lines.get(function), head.lines.get(function)
        per_step = [
            one.executed / (profile.steps or 1) if one else 0.0
            for one, profile in ((ours, base), (theirs, head))
        ]
        if per_step[0] != per_step[1]:
            larger = theirs if theirs and per_step[1] > per_step[0] else ours or theirs
            yield LineDifference(
                base_function=named[0].get(function),
                head_function=named[1].get(function),
                base=per_step[0],
                head=per_step[1],
                hottest_line=larger.hottest_line if larger else 0,
            )


def _lines_per_step(profile: CellProfile) -> float:
    return sum(one.executed for one in profile.lines.values()) / (profile.steps or 1)


def _ordered(differences: Iterable[_Difference]) -> tuple[_Difference, ...]:
    return tuple(sorted(differences, key=lambda one: (-abs(one.difference), _place(one))))


def _place(one: CallDifference | LineDifference) -> tuple[str, str, str]:
    function = one.head_function or one.base_function or EVENT_LOOP
    return function.file, function.name, getattr(one, "phase", "")
