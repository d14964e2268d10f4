"""Makes golden traces of a build, and runs those of a folder again."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from exhausters.errors import GoldenTraceError, UsageError
from exhausters.golden.differ import Difference, first_difference
from exhausters.golden.trace_file import ENDING, GoldenTrace, read_trace, trace_text
from exhausters.pressure.levels import PressureLevels
from exhausters.sweep.cell import Cell, EngineSettings
from exhausters.sweep.execute import Executor
from exhausters.sweep.grid import Grid
from exhausters.sweep.record import DRAINED, STALLED, RunRecord
from exhausters.sweep.run_options import DECIDE, RunOptions
from exhausters.sweep.runner import SweepOptions, sweep
from exhausters.targets import PreparedTarget
from exhausters.workloads import Workload, parse_workload

_NAME = "golden"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A golden trace, and what a build did.

    Attributes:
        trace: the golden one.
        difference: the first step that differs; None for the same trace.
        problem: why the build has no trace; else empty.
    """

    trace: GoldenTrace
    difference: Difference | None
    problem: str = ""


def write_traces(target: PreparedTarget, grid: Grid, folder: Path, executor: Executor) -> list[Path]:
    """Run the cells and write a trace of each; return the files.

    Raises:
        UsageError: a workload of which a trace cannot tell all: sessions, adapters, grammars, events.
        GoldenTraceError: a cell that neither drained nor stalled.
    """
    workloads = {cell.workload: parse_workload(cell.workload) for cell in grid.cells}
    for text, workload in workloads.items():
        _require_plain(text, workload)
    names = file_names(grid.cells)
    records = _run(target, grid, executor)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for record in records:
        if record.result.outcome not in (DRAINED, STALLED):
            raise GoldenTraceError(
                f"{record.cell.id}: {record.result.outcome}: {record.result.reason}: it has no trace"
            )
        path = folder / f"{names[record.cell.id]}{ENDING}"
        path.write_text(trace_text(record, workloads[record.cell.workload], engine_of(target)))
        paths.append(path)
    return paths


def check_traces(
    traces: Sequence[GoldenTrace],
    target: PreparedTarget,
    executor: Executor,
    scratch: Path,
    on_checked: Callable[[Checked], None] = lambda checked: None,
) -> list[Checked]:
    """Run the cells of the traces on a build and compare.

    Args:
        traces: golden ones.
        target: what is run.
        executor: where.
        scratch: an existing folder for the build's own traces.
        on_checked: told of each.
    """
    cells = [cell_of(trace) for trace in traces]
    records = {
        record.cell.id: record for record in _run(target, Grid(name=_NAME, cells=tuple(cells)), executor)
    }
    found = []
    for trace, cell in zip(traces, cells, strict=True):
        checked = _checked(trace, records[cell.id], target, scratch)
        on_checked(checked)
        found.append(checked)
    return found


def read_traces(folder: Path) -> list[GoldenTrace]:
    """Read all traces of a folder; raises GoldenTraceError where there is none, or a broken one."""
    paths = sorted(folder.glob(f"*{ENDING}"))
    if not paths:
        raise GoldenTraceError(f"{folder}: holds no golden traces (*{ENDING})")
    return [read_trace(path) for path in paths]


def cell_of(trace: GoldenTrace) -> Cell:
    """Return the cell that a trace is of; raises GoldenTraceError where its settings make no sense here."""
    header = trace.header
    try:
        cell = Cell(
            workload=header["workload"]["spec"],
            levels=PressureLevels(**header["levels"]),
            engine=EngineSettings.from_json(header["settings"]),
        )
        digest = parse_workload(cell.workload).digest
    except (KeyError, TypeError, UsageError) as error:
        raise GoldenTraceError(f"{trace.path}: its header makes no cell ({error})") from error
    if digest != trace.workload_digest:
        raise GoldenTraceError(f"{trace.path}: its workload has another digest in this harness")
    return cell


def engine_of(target: PreparedTarget) -> dict[str, str | None]:
    """Return how a header names a build: never where it lies on this machine."""
    name = target.name if target.name.startswith("release:") else target.spec.kind
    return {"name": "sglang", "target": name, "version": target.version, "commit": target.commit}


def file_names(cells: Sequence[Cell]) -> dict[str, str]:
    """Return the names of the cells' files, without their ending, by id; those of no two cells are equal."""
    names = {cell.id: _file_name(cell) for cell in cells}
    shared = {name for name, count in Counter(names.values()).items() if count > 1}
    return {
        cell: f"{name}-{hashlib.sha256(cell.encode()).hexdigest()[:8]}" if name in shared else name
        for cell, name in names.items()
    }


def _file_name(cell: Cell) -> str:
    levels = [f"{name.removeprefix('leave_')}{value}" for name, value in cell.levels.given().items()]
    loop = "overlap" if cell.engine.overlap else "normal"
    parts = [cell.workload.partition(":")[0], f"p{cell.engine.page_size}", loop, *levels]
    return "-".join(part.replace("_", "-") for part in parts)


def _run(target: PreparedTarget, grid: Grid, executor: Executor) -> tuple[RunRecord, ...]:
    return sweep(target, grid, SweepOptions(run=RunOptions(passes=(DECIDE,))), executor=executor)


def _checked(trace: GoldenTrace, record: RunRecord, target: PreparedTarget, scratch: Path) -> Checked:
    if not record.result.log.steps:
        problem = f"{record.result.outcome}: {record.result.reason}"
        return Checked(trace=trace, difference=None, problem=problem)
    path = scratch / trace.path.name
    path.write_text(trace_text(record, parse_workload(record.cell.workload), engine_of(target)))
    return Checked(trace=trace, difference=first_difference(trace, read_trace(path)))


def _require_plain(text: str, workload: Workload) -> None:
    for request in (*workload.warmup_requests, *workload.requests):
        more = [
            name
            for name in ("events", "adapter", "grammar_steps", "session", "transfer", "logprobs_from")
            if getattr(request, name) not in (None, ())
        ]
        if request.ignore_eos or request.frequency_penalty:
            more.append("sampling arguments")
        if more:
            raise UsageError(
                f"workload {text!r}: request {request.rid!r} has {', '.join(more)}, which no trace "
                "tells; expected plain requests"
            )
