"""Two fake builds in this process: head evicts, admits or loops otherwise, as a test plants it."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from exhausters.engine.fake.scheduler import FakeScheduler
from exhausters.pressure.levels import PressureLevels
from exhausters.sweep.cell import Cell, EngineSettings
from exhausters.sweep.drain import run_cell
from exhausters.sweep.record import CellResult
from exhausters.sweep.run_options import RunOptions
from exhausters.why.profile import CellProfile, profile_cell
from exhausters.why.scenario import Scenario
from exhausters.workloads import Request, Segment, Workload
from tests.fakes.fake_engine import ScriptRunner
from tests.why.planted import plant

OPTIONS = RunOptions(count_work=False)
# Refuses requests whose prompt is long, while others run: the queue waits behind them.
SHY = """
if len(self.queue[0].tokens) > 200 and self.running.requests:
    return False
"""
SCAN = """
for one in self.queue:
    pass
"""


def a_request(number: int, *, prompt: int = 64, outputs: int = 6, seed: int | None = None) -> Request:
    """A request that shares nothing unless a seed is given; it arrives a little after the one before."""
    return Request(
        rid=f"r-{number}",
        arrival_seconds=number * 0.001,
        prompt=(Segment(seed=number if seed is None else seed, length=prompt),),
        max_new_tokens=outputs,
    )


def a_workload(count: int = 12, *, long: int = 7) -> Workload:
    """Short requests and a long one."""
    requests = [a_request(number, prompt=240 if number == long else 48) for number in range(count)]
    return Workload(name="mine", requests=tuple(requests), warmup_requests=(a_request(99),))


def a_cell(**levels: Any) -> Cell:
    """A cell of the default engine."""
    return Cell(workload="mine", levels=PressureLevels(**levels), engine=EngineSettings())


@contextmanager
def changed(name: str, lines: str) -> Iterator[None]:
    """The fake scheduler with `lines` planted into one of its methods."""
    undo = plant(FakeScheduler, name, lines)
    try:
        yield
    finally:
        undo()


def profile(cell: Cell | None = None, workload: Workload | None = None) -> CellProfile:
    """Profile a cell on a fresh fake engine."""
    # The test runner has callbacks of the garbage collector in this process; a worker has none.
    gc.disable()
    try:
        found: CellProfile = ScriptRunner().run(
            profile_cell, cell or a_cell(), workload or a_workload(), OPTIONS
        )
    finally:
        gc.enable()
    return found


def run_both(name: str, lines: str) -> Callable[[Scenario], tuple[CellResult, CellResult]]:
    """Return what runs a scenario on the fake scheduler as it is, and with `lines` planted."""

    def run(scenario: Scenario) -> tuple[CellResult, CellResult]:
        cell = Cell(workload="mine", levels=scenario.levels)
        workload = scenario.workload("mine")
        base = ScriptRunner().run(run_cell, cell, workload, OPTIONS)
        with changed(name, lines):
            head = ScriptRunner().run(run_cell, cell, workload, OPTIONS)
        return base, head

    return run
