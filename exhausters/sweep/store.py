"""Write a sweep's records to a folder as they come, and read them back."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from exhausters import __version__
from exhausters.errors import StoreError, UsageError
from exhausters.sweep.grid import Grid
from exhausters.sweep.machine import machine_kind
from exhausters.sweep.record import SCHEMA_VERSION, RunRecord
from exhausters.targets import PreparedTarget

HEADER_NAME, RECORDS_NAME, LOGS_NAME = "sweep.json", "records.jsonl", "logs"


class SweepWriter:
    """A folder that fills with records while the sweep runs; a context manager.

    `sweep.json` says what was swept and, at the end, that it is complete; `records.jsonl` has one line a
    cell; `logs/` one decision log a cell. What was written stays when the sweep is interrupted.
    """

    def __init__(self, folder: Path, *, target: PreparedTarget, grid: Grid) -> None:
        self._folder = folder
        self._grid = grid
        self._lines: dict[str, str] = {}
        if (folder / HEADER_NAME).exists():
            self._clear()
        elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UsageError(f"--out {folder}: expected an empty folder or an earlier sweep; choose another")
        (folder / LOGS_NAME).mkdir(parents=True, exist_ok=True)
        self._header = {
            **base_header(grid),
            "target": target.name,
            "target_version": target.version,
            "target_commit": target.commit,
            "target_dirty": target.dirty,
            "complete": False,
        }
        self._write_header()
        self._records = (folder / RECORDS_NAME).open("w")

    def add(self, record: RunRecord) -> None:
        """Write one record and its decision log."""
        log_name = f"{hashlib.sha256(record.cell.id.encode()).hexdigest()[:16]}.log.gz"
        record.result.log.write(self._folder / LOGS_NAME / log_name)
        line = {**record.to_json(), "log": f"{LOGS_NAME}/{log_name}"}
        self._lines[record.cell.id] = json.dumps(line) + "\n"
        self._records.write(self._lines[record.cell.id])
        self._records.flush()

    def finish(self) -> None:
        """Say that every cell has its record, and put the lines in the grid's order.

        Cells end in the order in which workers get to them, which is not the same twice.
        """
        self._records.close()
        scratch = (self._folder / RECORDS_NAME).with_suffix(".tmp")
        scratch.write_text("".join(self._lines[cell.id] for cell in self._grid.cells))
        scratch.replace(self._folder / RECORDS_NAME)
        self._header["complete"] = True
        self._write_header()

    def __enter__(self) -> SweepWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._records.close()

    def _clear(self) -> None:
        (self._folder / HEADER_NAME).unlink()
        (self._folder / RECORDS_NAME).unlink(missing_ok=True)
        for log in (self._folder / LOGS_NAME).glob("*.log.gz"):
            log.unlink()

    def _write_header(self) -> None:
        path = self._folder / HEADER_NAME
        scratch = path.with_suffix(".tmp")
        scratch.write_text(json.dumps(self._header, indent=1) + "\n")
        scratch.replace(path)


def base_header(grid: Grid) -> dict[str, Any]:
    """Return what the header of every folder of records says: by what, of what, when, on what machine."""
    return {
        "schema": SCHEMA_VERSION,
        "harness_version": __version__,
        "grid": grid.name,
        "grid_digest": grid.digest,
        "cells": len(grid.cells),
        "machine": machine_kind(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSweep:
    """A sweep read back.

    Attributes:
        header: what `sweep.json` says.
        records: one dictionary a cell, as `RunRecord.to_json` made it, and `log`, its path in the folder.
    """

    folder: Path
    header: dict[str, Any]
    records: list[dict[str, Any]] = field(default_factory=list)


def read_sweep(folder: Path) -> StoredSweep:
    """Read a sweep's folder.

    Raises:
        StoreError: no sweep, another schema version, or a broken line; names the place.
    """
    try:
        header = json.loads((folder / HEADER_NAME).read_text())
        lines = (folder / RECORDS_NAME).read_text().splitlines()
    except (OSError, ValueError) as error:
        raise StoreError(f"{folder}: holds no readable sweep ({error})") from error
    if not isinstance(header, dict):
        raise StoreError(f"{folder}: holds no readable sweep ({HEADER_NAME} is no table)")
    if header.get("schema") != SCHEMA_VERSION:
        raise StoreError(
            f"{folder}: schema {header.get('schema')}, this harness reads {SCHEMA_VERSION}; sweep again"
        )
    records = []
    for number, line in enumerate(lines, start=1):
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError as error:
            raise StoreError(f"{folder / RECORDS_NAME}:{number}: broken line ({error})") from error
    return StoredSweep(folder=folder, header=header, records=records)
