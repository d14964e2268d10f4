"""Counts what a step allocates: a list copied, or tensors joined, inside one C call make no further call."""

from __future__ import annotations

import tracemalloc
from typing import Any

from exhausters.observe.operator_mode import operator_mode


class AllocationMeter:
    """A phase listener that adds up bytes; `start` and `stop` bracket the run. Slows the loop.

    Python's own allocations are seen as the most that a phase holds at once beyond what it began with (a
    copy that is thrown away at once counts too); tensors by the size of each one that an operator made.

    Attributes:
        python_bytes: sum over the phases of all steps.
        tensor_bytes: the same of tensors.
    """

    def __init__(self) -> None:
        self.python_bytes = 0
        self.tensor_bytes = 0
        self._before: int | None = None
        self._mode: Any = None

    def start(self) -> None:
        """Begin to watch allocations."""
        tracemalloc.start(1)
        self._mode = operator_mode(self)
        self._mode.__enter__()

    def stop(self) -> None:
        """Stop watching; harmless when repeated."""
        if self._mode is not None:
            self._mode.__exit__(None, None, None)
            self._mode = None
            tracemalloc.stop()

    def enter(self, phase: str) -> None:
        """A phase begins; the one before has ended."""
        self.leave()
        tracemalloc.reset_peak()
        self._before = tracemalloc.get_traced_memory()[0]

    def leave(self) -> None:
        """The step has ended."""
        if self._before is not None:
            self.python_bytes += max(0, tracemalloc.get_traced_memory()[1] - self._before)
        self._before = None

    def run_operator(self, function: Any, args: Any, keywords: Any) -> Any:
        """Run one operator, and add the sizes of the tensors that it made."""
        made = function(*args, **keywords)
        if self._before is not None:
            results = made if isinstance(made, tuple | list) else (made,)
            for result, returned in zip(results, function._schema.returns, strict=False):
                if returned.alias_info is None and hasattr(result, "nbytes"):
                    self.tensor_bytes += result.nbytes
        return made


def allocation_metrics(meter: AllocationMeter, *, steps: int) -> dict[str, float]:
    """Return bytes a step, by name; `steps` >= 1."""
    return {
        "python_bytes_per_step": meter.python_bytes / steps,
        "tensor_bytes_per_step": meter.tensor_bytes / steps,
    }
