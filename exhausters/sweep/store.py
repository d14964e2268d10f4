"""A folder of records: written as they come, by sweeps and pairs alike."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from exhausters import __version__
from exhausters.errors import StoreError, UsageError
from exhausters.sweep.grid import Grid
from exhausters.sweep.machine import machine_kind
from exhausters.sweep.plan import require_pair
from exhausters.sweep.record import SCHEMA_VERSION, RunRecord
from exhausters.targets import PreparedTarget

HEADER_NAME, RECORDS_NAME, LOGS_NAME = "sweep.json", "records.jsonl", "logs"
SWEEP, PAIRS = "sweep", "pairs"
_LOG_ENDING, _FACTS_ENDING = ".log.gz", ".facts.json.gz"


def sweep_writer(folder: Path, *, target: PreparedTarget, grid: Grid) -> RecordWriter:
    """Open a folder for the records of one sweep; raises what `RecordWriter` raises."""
    header = {
        "target": target.name,
        "target_version": target.version,
        "target_commit": target.commit,
        "target_dirty": target.dirty,
    }
    return RecordWriter(folder, kind=SWEEP, grid=grid, expected=len(grid.cells), header=header)


def pairs_writer(
    folder: Path, *, base: PreparedTarget, head: PreparedTarget, grid: Grid, rounds: int
) -> RecordWriter:
    """Open a folder for what `python -m reports gate BASE HEAD --pairs FOLDER` reads.

    Raises:
        UsageError: what `RecordWriter` refuses, both builds are the same, or there are no rounds.
    """
    require_pair(base, head, rounds=rounds)
    targets = {
        one.name: {"version": one.version, "commit": one.commit, "date": None, "dirty": one.dirty}
        for one in (base, head)
    }
    expected = len(grid.cells) * rounds * len(targets)
    return RecordWriter(
        folder, kind=PAIRS, grid=grid, expected=expected, header={"targets": targets, "rounds": rounds}
    )


class RecordWriter:
    """A folder that fills with records while they are made; a context manager.

    `sweep.json` says what was run and, at the end, that it is complete; `records.jsonl` has one line per run;
    `logs/` has the decision logs and the facts of the runs, named by their content, so that runs with the
    same decisions share a file. Each record is on disk when `add` returns, and stays there after an
    interruption.

    Raises:
        UsageError: the folder holds anything but earlier records of this kind. Those are replaced.
    """

    def __init__(
        self, folder: Path, *, kind: str, grid: Grid, expected: int, header: Mapping[str, Any]
    ) -> None:
        """Open the folder for `expected` records of the grid's cells; the header says so."""
        self._folder = folder
        self._places = {cell.id: place for place, cell in enumerate(grid.cells)}
        self._expected = expected
        self._added: list[tuple[int, int]] = []
        _make_room(folder, kind)
        (folder / LOGS_NAME).mkdir(parents=True, exist_ok=True)
        self._header = {
            "schema": SCHEMA_VERSION,
            "kind": kind,
            "harness_version": __version__,
            "grid": grid.name,
            "grid_digest": grid.digest,
            "cells": len(grid.cells),
            "runs": expected,
            "machine": machine_kind(),
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            **header,
            "complete": False,
        }
        self._write_header()
        self._records = (folder / RECORDS_NAME).open("w")

    def add(self, record: RunRecord) -> None:
        """Write one record, its decision log and its facts."""
        line = record.to_json()
        line["log"] = log = f"{LOGS_NAME}/{line['decision_digest'][:16]}{_LOG_ENDING}"
        if not (self._folder / log).exists():
            record.result.log.write(self._folder / log)
        line["facts"] = self._write_facts(record)
        self._records.write(json.dumps(line) + "\n")
        self._records.flush()
        self._added.append((self._places[record.cell.id], record.round or 0))

    def finish(self) -> None:
        """Say that no run is missing, and put the lines in the grid's order, then by round.

        Runs end in the order in which workers get to them, which is not the same twice.

        Raises:
            StoreError: there are fewer records than were announced, or more.
        """
        self._records.close()
        if len(self._added) != self._expected:
            raise StoreError(
                f"{self._folder}: {len(self._added)} records, expected {self._expected}: it stays incomplete"
            )
        path = self._folder / RECORDS_NAME
        lines = path.read_text().splitlines(keepends=True)
        in_order = sorted(range(len(lines)), key=lambda number: self._added[number])
        _replace(path, "".join(lines[number] for number in in_order))
        self._header["complete"] = True
        self._write_header()

    def __enter__(self) -> RecordWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._records.close()

    def _write_facts(self, record: RunRecord) -> str | None:
        if record.result.facts is None:
            return None
        content = record.result.facts.to_bytes()
        name = f"{LOGS_NAME}/{hashlib.sha256(content).hexdigest()[:16]}{_FACTS_ENDING}"
        if not (self._folder / name).exists():
            (self._folder / name).write_bytes(content)
        return name

    def _write_header(self) -> None:
        _replace(self._folder / HEADER_NAME, json.dumps(self._header, indent=1) + "\n")


def _make_room(folder: Path, kind: str) -> None:
    """Delete earlier records of this kind; refuse a folder that holds anything else."""
    header = folder / HEADER_NAME
    if not header.exists():
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UsageError(
                f"--out {folder}: expected an empty folder or earlier {_WORDS[kind]}; choose another"
            )
        return
    found = _kind_of(header)
    if found != kind:
        held = _WORDS.get(found, f"a {HEADER_NAME} that cannot be read")
        raise UsageError(
            f"--out {folder}: holds {held}; expected an empty folder or earlier {_WORDS[kind]}; "
            "choose another"
        )
    header.unlink()
    (folder / RECORDS_NAME).unlink(missing_ok=True)
    for ending in (_LOG_ENDING, _FACTS_ENDING):
        for path in (folder / LOGS_NAME).glob(f"*{ending}"):
            path.unlink()


_WORDS = {SWEEP: "records of a sweep", PAIRS: "records of pairs"}


def _kind_of(header: Path) -> str:
    """Which kind of records a folder holds; empty when its header is none."""
    try:
        values = json.loads(header.read_text())
    except (OSError, ValueError):
        return ""
    if not isinstance(values, dict):
        return ""
    # Older headers do not name their kind.
    return str(values.get("kind") or (PAIRS if "targets" in values else SWEEP))


def _replace(path: Path, text: str) -> None:
    scratch = path.with_suffix(".tmp")
    scratch.write_text(text)
    scratch.replace(path)
