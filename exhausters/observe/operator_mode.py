"""A torch dispatch mode that hands every tensor operator to one watcher."""

from __future__ import annotations

from typing import Any, Protocol


class RunsOperators(Protocol):
    """What is given every operator."""

    def run_operator(self, function: Any, args: Any, keywords: Any) -> Any:
        """Run the operator, and return its result."""
        ...


def operator_mode(watcher: RunsOperators) -> Any:
    """Return a context manager within which every tensor operator is run by `watcher`."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class _OperatorMode(TorchDispatchMode):
        """Sends every operator through the watcher."""

        @classmethod
        def _should_skip_dynamo(cls) -> bool:
            # Otherwise torch wraps the method, and each operator makes four Python calls and eight C calls
            # more that the scheduler never makes.
            return False

        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            return watcher.run_operator(function, args, kwargs or {})

    return _OperatorMode()
