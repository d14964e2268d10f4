"""Go on with a sweep, or with pairs, that were interrupted: what the folder has stays, the rest is run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from exhausters.errors import StoreError, UsageError
from exhausters.sweep.cache_key import harness_digest
from exhausters.sweep.grid import Grid
from exhausters.sweep.machine import machine_kind
from exhausters.sweep.pairs import PAIR_OPTIONS
from exhausters.sweep.read_records import read_lines, read_record
from exhausters.sweep.record import CRASHED, OUT_OF_MEMORY, TIMEOUT, RunRecord
from exhausters.sweep.record_files import HEADER_NAME, RECORDS_NAME
from exhausters.sweep.runner import SweepOptions
from exhausters.sweep.store import RecordWriter, pair_header, pairs_writer, sweep_writer
from exhausters.targets import PreparedTarget
from exhausters.workloads import parse_workload

# What befell a process, which need not happen again; all else is what the scheduler did.
_RUN_AGAIN = (CRASHED, TIMEOUT, OUT_OF_MEMORY)


def asked_of(options: SweepOptions) -> dict[str, Any]:
    """Return what records depend on beside targets and grid, as their header keeps it."""
    return {
        "harness": harness_digest(),
        "clock": options.clock,
        "forward_time": options.run.forward_time.name,
        "passes": list(options.run.wanted_passes),
    }


def resumed_writer(
    folder: Path, *, target: PreparedTarget, grid: Grid, options: SweepOptions
) -> RecordWriter:
    """Open a folder for a sweep, which keeps what an earlier call of the same has finished: `writer.kept`.

    Records of runs whose process died, and those that cannot be read, do not stay. A folder without records
    is begun.

    Raises:
        UsageError: the folder holds another sweep, or something else; names what differs.
        FolderBusyError: another command writes into it.
        StoreError: it cannot be read or written.
    """
    asked = asked_of(options)
    identity = {"target": target.name, "target_commit": target.commit, **_common(grid, asked)}

    def keep(place: Path) -> tuple[RunRecord, ...]:
        return tuple({one.cell.id: one for one in _finished(place, grid, identity)}.values())

    return sweep_writer(folder, target=target, grid=grid, asked=asked, keep=keep)


def resumed_pairs_writer(
    folder: Path, *, base: PreparedTarget, head: PreparedTarget, grid: Grid, rounds: int
) -> RecordWriter:
    """Open a folder for pairs, which keeps pairs of an earlier call of which both runs have ended.

    Raises:
        UsageError, FolderBusyError, StoreError: like `resumed_writer`, and like `pairs_writer`.
    """
    asked = asked_of(SweepOptions(run=PAIR_OPTIONS))
    identity = {"targets": pair_header(base, head), "rounds": rounds, **_common(grid, asked)}

    def keep(place: Path) -> tuple[RunRecord, ...]:
        found = {(one.cell.id, one.round, one.target): one for one in _finished(place, grid, identity)}
        names = (base.name, head.name)
        return tuple(
            record
            for (cell, number, _), record in found.items()
            if all((cell, number, name) in found for name in names)
        )

    return pairs_writer(folder, base=base, head=head, grid=grid, rounds=rounds, asked=asked, keep=keep)


def _common(grid: Grid, asked: Mapping[str, Any]) -> dict[str, Any]:
    # Times of two machines do not mix.
    return {"grid_digest": grid.digest, "machine": machine_kind(), "asked": asked}


def _require_same(folder: Path, header: Mapping[str, Any], identity: Mapping[str, Any]) -> None:
    if "asked" not in header:
        raise UsageError(
            f"--resume {folder}: its {HEADER_NAME} does not say what was asked, so nobody knows whether "
            "this is the same; leave --resume out to replace it, or choose another --out"
        )
    held, wanted = _flat(header), _flat(identity)
    other = [name for name in wanted if held.get(name) != wanted[name]]
    if other:
        shown = "; ".join(f"{name}: {held.get(name)!r}, now {wanted[name]!r}" for name in other)
        raise UsageError(
            f"--resume {folder}: holds another one ({shown}); leave --resume out to replace it, or choose "
            "another --out"
        )


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    asked = values["asked"]
    return {**values, **(asked if isinstance(asked, Mapping) else {"asked": asked}), "asked": None}


def _finished(folder: Path, grid: Grid, identity: Mapping[str, Any]) -> Iterator[RunRecord]:
    """Records of the same that can be read, of cells whose workload is as it was."""
    if not (folder / HEADER_NAME).exists():
        return
    header, lines = read_lines(folder)
    _require_same(folder, header, identity)
    cells = {cell.id: cell for cell in grid.cells}
    for number, line in enumerate(lines, start=1):
        try:
            record = read_record(folder, line, place=f"{folder / RECORDS_NAME}:{number}")
        except StoreError:
            continue
        is_kept = record.result.outcome not in _RUN_AGAIN and cells.get(record.cell.id) == record.cell
        if is_kept and _has_same_workload(record):
            yield record


def _has_same_workload(record: RunRecord) -> bool:
    """Whether the trace that a workload is read from has not been replaced since."""
    digest = record.result.provenance.get("workload_digest")
    return digest is None or digest == _digest(record.cell.workload)


@cache
def _digest(workload: str) -> str:
    return parse_workload(workload).digest
