"""Host time of two builds, side by side: both booted, each cell in turn A B, B A, A B, …"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exhausters.errors import ExhaustersError, UsageError
from exhausters.sweep.cell import Cell
from exhausters.sweep.drain import RunOptions
from exhausters.sweep.grid import Grid
from exhausters.sweep.record import RunRecord
from exhausters.sweep.runner import SweepOptions, boot, failed_result, run_one
from exhausters.sweep.store import HEADER_NAME, RECORDS_NAME, base_header
from exhausters.targets import PreparedTarget
from exhausters.worker.host import Host
from exhausters.workloads import Workload, parse_workload

# Fewer pairs say nothing (docs/verdicts.md); with twelve, one changed cell of about a hundred can be told.
DEFAULT_ROUNDS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class PairRun:
    """One run of a pair.

    Attributes:
        record: the run.
        round: number of the pair within its cell, from 0.
        order: `AB` if base ran first in this round, `BA` if head did.
    """

    record: RunRecord
    round: int
    order: str

    def to_json(self) -> dict[str, Any]:
        """Return one line of the folder's records."""
        return {**self.record.to_json(), "round": self.round, "order": self.order}


def run_pairs(
    base: PreparedTarget,
    head: PreparedTarget,
    grid: Grid,
    *,
    rounds: int = DEFAULT_ROUNDS,
    on_run: Callable[[PairRun], None] = lambda run: None,
) -> tuple[PairRun, ...]:
    """Time every cell of the grid on both builds, `rounds` times each, and return all runs.

    A run that fails is a run with that outcome; its host is booted again for the next.

    Raises:
        UsageError: both builds are the same, or there are no rounds.
    """
    if base.name == head.name:
        raise UsageError(f"pair {base.name} with itself: expected two builds; give the second another name")
    if rounds < 1:
        raise UsageError(f"rounds={rounds}: expected an integer >= 1")
    runs: list[PairRun] = []
    workloads = {cell.workload: parse_workload(cell.workload) for cell in grid.cells}
    for cells in _by_engine(grid.cells):
        with _Side(base) as first, _Side(head) as second:
            for cell in cells:
                for run in _cell_pairs(first, second, cell, workloads[cell.workload], rounds):
                    runs.append(run)
                    on_run(run)
    return tuple(runs)


def write_pairs(
    folder: Path, runs: Sequence[PairRun], *, grid: Grid, base: PreparedTarget, head: PreparedTarget
) -> None:
    """Write the folder that `python -m reports gate BASE HEAD --pairs FOLDER` reads."""
    folder.mkdir(parents=True, exist_ok=True)
    header = {
        **base_header(grid),
        "targets": {
            one.name: {"version": one.version, "commit": one.commit, "date": None, "dirty": one.dirty}
            for one in (base, head)
        },
        "complete": True,
    }
    (folder / RECORDS_NAME).write_text("".join(json.dumps(run.to_json()) + "\n" for run in runs))
    (folder / HEADER_NAME).write_text(json.dumps(header, indent=1) + "\n")


def _by_engine(cells: Sequence[Cell]) -> Iterator[list[Cell]]:
    for engine in dict.fromkeys(cell.engine for cell in cells):
        yield [cell for cell in cells if cell.engine == engine]


def _cell_pairs(base: _Side, head: _Side, cell: Cell, workload: Workload, rounds: int) -> Iterator[PairRun]:
    # A cell's first run in a process pays for what is made only once: both sides pay before they count.
    base.run(cell, workload)
    head.run(cell, workload)
    for number in range(rounds):
        order = "AB" if number % 2 == 0 else "BA"
        for side in (base, head) if order == "AB" else (head, base):
            yield PairRun(record=side.run(cell, workload), round=number, order=order)


class _Side:
    """One build, booted when it is first needed and again when its worker has died."""

    def __init__(self, target: PreparedTarget) -> None:
        self._target = target
        self._host: Host | None = None

    def run(self, cell: Cell, workload: Workload) -> RunRecord:
        options = SweepOptions(run=RunOptions(count_work=False))
        try:
            if self._host is None:
                self._host = boot(self._target, cell.engine)
            result = run_one(self._host, cell, workload, options)
        except ExhaustersError as error:
            result = failed_result(error, workload)
            if self._host is not None and not self._host.is_usable:
                self._host = None
        return RunRecord(cell=cell, target=self._target.name, result=result)

    def __enter__(self) -> _Side:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._host is not None:
            self._host.close()
