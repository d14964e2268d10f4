"""Scripts that watch a cell in two ways, or with something planted. Run inside the worker."""

from __future__ import annotations

from typing import Any

from exhausters.observe.call_tree import CallTree, function_calls
from exhausters.observe.work import WorkCounter
from exhausters.scripted.reset import reset_engine
from exhausters.sweep.drain import one_pass, run_cell
from exhausters.why.profile import profile_cell
from tests.why.planted import plant

_SCAN = """
for one in self.waiting_queue:
    pass
"""


def python_calls_both_ways(t: Any, cell: Any, workload: Any, options: Any) -> Any:
    """Python calls by phase, of the call tree and of a counter that also watches operators."""
    yield from run_cell(t, cell, workload, options)
    yield from _again(t)
    tree = CallTree([t.engine.source_folders().watched])
    yield from one_pass(t, cell, workload, options, tree)
    counter = WorkCounter()
    for counter in (WorkCounter(), WorkCounter()):  # the first one meets operators for the first time
        yield from _again(t)
        counter.start()
        try:
            yield from one_pass(t, cell, workload, options, counter)
        finally:
            counter.stop()
    assert not counter.is_cold
    in_tree = {
        phase: sum(one.calls for function, one in function_calls(root).items() if function.file)
        for phase, root in tree.roots.items()
    }
    python, _, _ = counter.calls()
    return in_tree, {phase: python[phase] for phase in in_tree}


def profile_with_a_scan(t: Any, cell: Any, workload: Any, options: Any) -> Any:
    """Profile a cell while forming a batch walks the whole queue once more."""
    undo = plant(_owner(t.scheduler, "get_next_batch_to_run"), "get_next_batch_to_run", _SCAN)
    try:
        return (yield from profile_cell(t, cell, workload, options))
    finally:
        undo()


def _owner(scheduler: Any, name: str) -> type:
    return next(one for one in type(scheduler).__mro__ if name in vars(one))


def _again(t: Any) -> Any:
    yield from reset_engine(t)
    t.begin_script()
