"""Counts what the scheduler does, not how long it takes: calls, tensor operators, synchronisations.

Calls are counted by the interpreter's own C profiler, one for each phase; operators by a torch dispatch mode
whose own work is not counted. Both slow the loop, so a counted run never gives host time.
"""

from __future__ import annotations

import cProfile
from pathlib import Path
from typing import Any

from exhausters.observe.operator_mode import operator_mode
from exhausters.observe.phases import PHASES

# Operators that make a GPU program wait for a value: the host reads it, or needs it for a shape.
_SYNCHRONISING = frozenset(
    {
        "aten::_local_scalar_dense",
        "aten::nonzero",
        "aten::is_nonzero",
        "aten::_unique2",
        "aten::unique_dim",
        "aten::unique_consecutive",
        "aten::masked_select",
    }
)
# `tolist` reads all values at once without an operator.
_SYNCHRONISING_METHOD = "method 'tolist' of 'torch._C.TensorBase'"
_OWN_FOLDER = str(Path(__file__).resolve().parent.parent)
# Runs only because a dispatch mode is on, for each operator: functions that look it up, by one C call each.
_LOOK_UP = "torch/_library/simple_registry.py"
_LOOKS_UP_BY_A_C_CALL = "find"
# An operator that is met for the first time is given an entry there; all operators are looked up there.
_FIRST_SIGHT = "torch/_library/"
_PROFILER_CALLS = ("_lsprof.Profiler", "method 'enable'", "method 'disable'")


class WorkCounter:
    """A phase listener that counts; `start` and `stop` bracket the run."""

    def __init__(self) -> None:
        self._profiles = {phase: cProfile.Profile(subcalls=False, builtins=True) for phase in PHASES}
        self._current: cProfile.Profile | None = None
        self._operators: dict[str, dict[Any, int]] = {phase: {} for phase in PHASES}
        self._seen: dict[Any, int] = {}
        self._mode: Any = None

    def start(self) -> None:
        """Begin to see tensor operators."""
        self._mode = operator_mode(self)
        self._mode.__enter__()

    def stop(self) -> None:
        """Stop seeing them; harmless when repeated."""
        self.leave()
        if self._mode is not None:
            self._mode.__exit__(None, None, None)
            self._mode = None

    def enter(self, phase: str) -> None:
        """`phase` begins."""
        if self._current is not None:
            self._current.disable()
        self._seen = self._operators[phase]
        self._current = self._profiles[phase]
        self._current.enable()

    def leave(self) -> None:
        """The step has ended."""
        if self._current is not None:
            self._current.disable()
        self._current = None

    def run_operator(self, function: Any, args: Any, keywords: Any) -> Any:
        """Run one operator, counted for the phase that asked for it; its own calls are not counted."""
        current = self._current
        if current is None:
            return function(*args, **keywords)
        current.disable()
        try:
            # Only counted here: what the operator is, is asked once for all at the end.
            self._seen[function] = self._seen.get(function, 0) + 1
            return function(*args, **keywords)
        finally:
            current.enable()

    def operators(self) -> tuple[dict[str, int], dict[str, int], dict[str, int]]:
        """Return operators, synchronising ones among them, and the tensors they made, by phase."""
        every, waiting, made = (dict.fromkeys(PHASES, 0) for _ in range(3))
        for phase, seen in self._operators.items():
            for function, count in seen.items():
                schema = function._schema
                every[phase] += count
                made[phase] += count * sum(
                    one.alias_info is None and "Tensor" in str(one.type) for one in schema.returns
                )
                if schema.name in _SYNCHRONISING:
                    waiting[phase] += count
        return every, waiting, made

    def calls(self) -> tuple[dict[str, int], dict[str, int], dict[str, int]]:
        """Return Python calls, C calls and calls of `Tensor.tolist`, by phase."""
        python, native, listed = (dict.fromkeys(PHASES, 0) for _ in range(3))
        for phase, profile in self._profiles.items():
            for entry in profile.getstats():
                if isinstance(entry.code, str):
                    if any(text in entry.code for text in _PROFILER_CALLS):
                        continue
                    native[phase] += entry.callcount
                    if _SYNCHRONISING_METHOD in entry.code:
                        listed[phase] += entry.callcount
                elif entry.code.co_filename.endswith(_LOOK_UP):
                    native[phase] -= entry.callcount * (entry.code.co_name == _LOOKS_UP_BY_A_C_CALL)
                elif not entry.code.co_filename.startswith(_OWN_FOLDER):
                    python[phase] += entry.callcount
        return python, native, listed

    @property
    def is_cold(self) -> bool:
        """Whether torch met an operator for the first time, which costs calls that no later run has."""
        return any(
            _FIRST_SIGHT in entry.code.co_filename and entry.code.co_name == "__init__"
            for profile in self._profiles.values()
            for entry in profile.getstats()
            if not isinstance(entry.code, str)
        )


def work_metrics(counter: WorkCounter, *, steps: int) -> dict[str, float | int | None]:
    """Return every metric of kind work: totals a step, and a step and phase."""
    python, native, listed = counter.calls()
    operators, waiting, made = counter.operators()
    synchronisations = {phase: waiting[phase] + listed[phase] for phase in PHASES}
    counts = {
        "python_calls": python,
        "c_calls": native,
        "aten_operators": operators,
        "host_synchronisations": synchronisations,
        "tensor_allocations": made,
    }
    metrics: dict[str, float | int | None] = {}
    for name, by_phase in counts.items():
        metrics[name] = sum(by_phase[phase] for phase in PHASES)
        metrics[f"{name}_per_step"] = sum(by_phase[phase] for phase in PHASES) / steps if steps else None
        for phase in PHASES:
            metrics[f"{name}_per_step_{phase}"] = by_phase[phase] / steps if steps else None
    return metrics
