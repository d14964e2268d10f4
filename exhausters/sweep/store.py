"""A folder of records: written as they come, by sweeps and pairs alike."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from exhausters import __version__
from exhausters.errors import StoreError, UsageError
from exhausters.observe.decision_log import DecisionLog
from exhausters.sweep.grid import Grid
from exhausters.sweep.machine import machine_kind
from exhausters.sweep.plan import require_pair
from exhausters.sweep.record import SCHEMA_VERSION, RunRecord
from exhausters.targets import PreparedTarget

HEADER_NAME, RECORDS_NAME, LOGS_NAME = "sweep.json", "records.jsonl", "logs"
SWEEP, PAIRS = "sweep", "pairs"
_LOG_ENDING, _FACTS_ENDING, _LINES_ENDING = ".log.gz", ".facts.json.gz", ".lines.json.gz"


def sweep_writer(folder: Path, *, target: PreparedTarget, grid: Grid) -> RecordWriter:
    """Open a folder for the records of one sweep; raises what `RecordWriter` raises."""
    header = {
        "target": target.name,
        "target_version": target.version,
        "target_commit": target.commit,
        "target_subject": target.subject,
        "target_dirty": target.dirty,
        "target_changes": target.changes,
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
        one.name: {
            "version": one.version,
            "commit": one.commit,
            "subject": one.subject,
            "date": None,
            "dirty": one.dirty,
            "changes": one.changes,
        }
        for one in (base, head)
    }
    expected = len(grid.cells) * rounds * len(targets)
    return RecordWriter(
        folder, kind=PAIRS, grid=grid, expected=expected, header={"targets": targets, "rounds": rounds}
    )


class RecordWriter:
    """A folder that fills with records while they are made; a context manager.

    `sweep.json` says what was run and, at the end, that it is complete; `records.jsonl` has one line per run;
    `logs/` has the decision logs, the facts and the executed lines of the runs, named by their content, so
    that runs with the same decisions share a file. Each record is on disk when `add` returns, and stays there
    after an interruption.

    Raises:
        UsageError: the folder holds anything but earlier records of this kind. Those are replaced.
        StoreError: the folder cannot be written: a full disk, a folder that is read-only; also by `add`.
    """

    def __init__(
        self, folder: Path, *, kind: str, grid: Grid, expected: int, header: Mapping[str, Any]
    ) -> None:
        """Open the folder for `expected` records of the grid's cells; the header says so."""
        self._folder = folder
        self._grid = grid
        self._expected = expected
        # By place in the grid, then round: the lines of `records.jsonl`.
        self._lines: dict[tuple[int, int, str], str] = {}
        with _written(folder):
            _make_room(folder, kind)
            (folder / LOGS_NAME).mkdir(parents=True, exist_ok=True)
            self._header = {
                "schema": SCHEMA_VERSION,
                "kind": kind,
                "harness_version": __version__,
                **_header_of(grid),
                "runs": expected,
                "machine": machine_kind(),
                "started": datetime.now(UTC).isoformat(timespec="seconds"),
                **header,
                "complete": False,
            }
            self._write_header()
            self._records = (folder / RECORDS_NAME).open("w")

    def add(self, record: RunRecord) -> None:
        """Write one record, its decision log, its facts and its lines.

        A record of the same cell, target and round takes the place of the one before: a later pass over the
        cell has measured more of it.
        """
        place = self._place(record)
        with _written(self._folder):
            line = self._write_files(record)
            is_new = place not in self._lines
            self._lines[place] = line
            if is_new:
                self._records.write(line)
                self._records.flush()
            else:
                self._rewrite(list(self._lines.values()))

    def extend(self, grid: Grid) -> None:
        """Go on with a grid that has further cells after those of the present one, one run each."""
        self._expected += len(grid.cells) - len(self._grid.cells)
        self._grid = grid
        self._header |= {**_header_of(grid), "runs": self._expected}
        with _written(self._folder):
            self._write_header()

    def expect(self, runs: int) -> None:
        """Announce further runs of the present cells."""
        self._expected += runs
        self._header["runs"] = self._expected
        with _written(self._folder):
            self._write_header()

    def finish(self) -> None:
        """Say that no run is missing, and put the lines in the grid's order, then by round.

        Runs end in the order in which workers get to them, which is not the same twice.

        Raises:
            StoreError: there are fewer records than were announced, or more.
        """
        self._records.close()
        if len(self._lines) != self._expected:
            raise StoreError(
                f"{self._folder}: {len(self._lines)} records, expected {self._expected}: it stays incomplete"
            )
        order = sorted(self._lines, key=lambda place: place[:2])
        with _written(self._folder):
            _replace(self._folder / RECORDS_NAME, "".join(self._lines[place] for place in order))
            self._header["complete"] = True
            self._write_header()

    def _place(self, record: RunRecord) -> tuple[int, int, str]:
        places = {cell.id: place for place, cell in enumerate(self._grid.cells)}
        return places[record.cell.id], record.round or 0, record.target

    def _rewrite(self, lines: list[str]) -> None:
        self._records.close()
        _replace(self._folder / RECORDS_NAME, "".join(lines))
        self._records = (self._folder / RECORDS_NAME).open("a")

    def __enter__(self) -> RecordWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):  # what could not be written has raised before
            self._records.close()

    def _write_files(self, record: RunRecord) -> str:
        """Write what has files of its own; return the line with the rest."""
        line = record.to_json()
        line["log"] = self._write_log(record.result.log, line["decision_digest"])
        if record.result.rank_logs:
            digests = line["rank_digests"]
            logs = zip(record.result.rank_logs, digests, strict=True)
            line["rank_logs"] = [self._write_log(log, digest) for log, digest in logs]
        facts, executed = record.result.facts, record.result.executed
        line["facts"] = None if facts is None else self._write_content(facts.to_bytes(), _FACTS_ENDING)
        if executed is not None:
            line["executed"] = self._write_content(executed.to_bytes(), _LINES_ENDING)
        return json.dumps(line) + "\n"

    def _write_log(self, log: DecisionLog, digest: str) -> str:
        """Write a log that is not there yet; return its name."""
        name = f"{LOGS_NAME}/{digest[:16]}{_LOG_ENDING}"
        if not (self._folder / name).exists():
            log.write(self._folder / name)
        return name

    def _write_content(self, content: bytes, ending: str) -> str:
        """Write a file that is named by its content; return its name."""
        name = f"{LOGS_NAME}/{hashlib.sha256(content).hexdigest()[:16]}{ending}"
        if not (self._folder / name).exists():
            (self._folder / name).write_bytes(content)
        return name

    def _write_header(self) -> None:
        _replace(self._folder / HEADER_NAME, json.dumps(self._header, indent=1) + "\n")


def _header_of(grid: Grid) -> dict[str, object]:
    return {"grid": grid.name, "grid_digest": grid.digest, "cells": len(grid.cells)}


@contextmanager
def _written(folder: Path) -> Iterator[None]:
    """Raise StoreError, naming the folder, where the disk refuses what is written."""
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"{folder}: cannot be written ({error.strerror or error}); what was written until now stays; "
            "make room, or choose another folder with --out"
        ) from error


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
    for ending in (_LOG_ENDING, _FACTS_ENDING, _LINES_ENDING):
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
