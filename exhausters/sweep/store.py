"""A folder of records: written as they come, by sweeps and pairs alike."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from exhausters import __version__
from exhausters.errors import StoreError
from exhausters.observe.decision_log import DecisionLog
from exhausters.results_folder import append_whole, lock_folder, replace_text, replaced
from exhausters.sweep.grid import Grid
from exhausters.sweep.machine import machine_kind
from exhausters.sweep.plan import require_pair
from exhausters.sweep.record import SCHEMA_VERSION, RunRecord
from exhausters.sweep.record_files import (
    FACTS_ENDING,
    FORMAT_VERSION,
    LINES_ENDING,
    LOG_ENDING,
    PAIRS,
    SWEEP,
    delete_logs,
    mark_incomplete,
    refuse_others,
    written,
)
from exhausters.sweep.record_files import HEADER_NAME as HEADER_NAME
from exhausters.sweep.record_files import LOGS_NAME as LOGS_NAME
from exhausters.sweep.record_files import RECORDS_NAME as RECORDS_NAME
from exhausters.targets import PreparedTarget

# Returns the earlier records of a folder that stay.
Keep = Callable[[Path], Sequence[RunRecord]]


def sweep_writer(
    folder: Path,
    *,
    target: PreparedTarget,
    grid: Grid,
    asked: Mapping[str, Any] | None = None,
    keep: Keep | None = None,
) -> RecordWriter:
    """Open a folder for the records of one sweep; raises what `RecordWriter` raises.

    Args:
        folder: created if missing.
        target: what is swept.
        grid: the cells.
        asked: what else the records depend on; without it no later sweep can go on there.
        keep: see `RecordWriter`.
    """
    header = {
        "target": target.name,
        "target_version": target.version,
        "target_commit": target.commit,
        **({"target_date": target.committed} if target.committed else {}),
        "target_subject": target.subject,
        "target_dirty": target.dirty,
        "target_changes": target.changes,
        **_asked(asked),
    }
    return RecordWriter(folder, kind=SWEEP, grid=grid, expected=len(grid.cells), header=header, keep=keep)


def pairs_writer(
    folder: Path,
    *,
    base: PreparedTarget,
    head: PreparedTarget,
    grid: Grid,
    rounds: int,
    asked: Mapping[str, Any] | None = None,
    keep: Keep | None = None,
) -> RecordWriter:
    """Open a folder for what `python -m reports gate BASE HEAD --pairs FOLDER` reads; as `sweep_writer` does.

    Raises:
        UsageError: what `RecordWriter` refuses, both builds are the same, or there are no rounds.
    """
    require_pair(base, head, rounds=rounds)
    targets = pair_header(base, head)
    header = {"targets": targets, "rounds": rounds, **_asked(asked)}
    expected = len(grid.cells) * rounds * len(targets)
    return RecordWriter(folder, kind=PAIRS, grid=grid, expected=expected, header=header, keep=keep)


def pair_header(base: PreparedTarget, head: PreparedTarget) -> dict[str, dict[str, Any]]:
    """Return what the header of pairs says about both builds."""
    return {
        one.name: {
            "version": one.version,
            "commit": one.commit,
            "subject": one.subject,
            "date": one.committed or None,
            "dirty": one.dirty,
            "changes": one.changes,
        }
        for one in (base, head)
    }


def _asked(asked: Mapping[str, Any] | None) -> dict[str, Any]:
    return {} if asked is None else {"asked": dict(asked)}


class RecordWriter:
    """A folder that fills with records while they are made; a context manager.

    `sweep.json` says what was run and, at the end, that it is complete; `records.jsonl` has one line per run;
    `logs/` has the decision logs, the facts and the executed lines of the runs, named by their content, so
    that runs with the same decisions share a file. Each record is on disk when `add` returns, and stays there
    after an interruption or a power cut. Until the writer is closed, no other sweep, pair or command that
    changes records can write into the folder.

    Attributes:
        kept: earlier records that stayed.

    Raises:
        UsageError: the folder holds anything but earlier records of this kind. Those are replaced.
        FolderBusyError: another command writes into it.
        StoreError: the folder cannot be written: a full disk, a folder that is read-only; also by `add`.
    """

    def __init__(
        self,
        folder: Path,
        *,
        kind: str,
        grid: Grid,
        expected: int,
        header: Mapping[str, Any],
        keep: Keep | None = None,
    ) -> None:
        """Open the folder for `expected` records of the grid's cells; the header says so.

        With `keep`, not all earlier records are replaced: it is called once the folder is locked, and returns
        those that stay. What it raises is passed on, and the folder is as it was.
        """
        self._folder = folder
        self._grid = grid
        self._expected = expected
        # By place in the grid, then round: the lines of `records.jsonl`.
        self._lines: dict[tuple[int, int, str], str] = {}
        with ExitStack() as opened:
            refuse_others(folder, kind)
            with written(folder):
                folder.mkdir(parents=True, exist_ok=True)
                opened.enter_context(lock_folder(folder, holds=kind))
            self.kept = () if keep is None else tuple(keep(folder))
            self._header = {
                "schema": SCHEMA_VERSION,
                "format": FORMAT_VERSION,
                "kind": kind,
                "harness_version": __version__,
                **_header_of(grid),
                "runs": expected,
                "machine": machine_kind(),
                "started": datetime.now(UTC).isoformat(timespec="seconds"),
                **header,
                "complete": False,
            }
            with written(folder):
                self._begin()
                self._records = opened.enter_context((folder / RECORDS_NAME).open("ab", buffering=0))
            self._opened = opened.pop_all()

    def _begin(self) -> None:
        """Leave nothing in the folder but the header and the records that stay; readable at every moment."""
        mark_incomplete(self._folder)
        (self._folder / LOGS_NAME).mkdir(exist_ok=True)
        named: set[object] = set()
        for record in self.kept:
            line = self._write_files(record)
            self._lines[self._place(record)] = json.dumps(line) + "\n"
            named |= {line["log"], line["facts"], line.get("executed"), *line.get("rank_logs", ())}
        replace_text(self._folder / RECORDS_NAME, "".join(self._lines.values()))
        self._write_header()
        delete_logs(self._folder, but=named)

    def add(self, record: RunRecord) -> None:
        """Write one record, its decision log, its facts and its lines.

        A record of the same cell, target and round takes the place of the one before: a later pass over the
        cell has measured more of it.
        """
        place = self._place(record)
        with written(self._folder):
            line = json.dumps(self._write_files(record)) + "\n"
            if place in self._lines:
                self._rewrite([text if at != place else line for at, text in self._lines.items()])
            else:
                append_whole(self._records, line.encode())
                os.fsync(self._records.fileno())
            self._lines[place] = line

    def extend(self, grid: Grid) -> None:
        """Go on with a grid that has further cells after those of the present one, one run each."""
        self._expected += len(grid.cells) - len(self._grid.cells)
        self._grid = grid
        self._header |= {**_header_of(grid), "runs": self._expected}
        with written(self._folder):
            self._write_header()

    def expect(self, runs: int) -> None:
        """Announce further runs of the present cells."""
        self._expected += runs
        self._header["runs"] = self._expected
        with written(self._folder):
            self._write_header()

    def finish(self) -> None:
        """Say that no run is missing, and put the lines in the grid's order, then by round.

        Runs end in the order in which workers get to them, which is not the same twice.

        Raises:
            StoreError: there are fewer records than were announced, or more.
        """
        if len(self._lines) != self._expected:
            raise StoreError(
                f"{self._folder}: {len(self._lines)} records, expected {self._expected}: it stays incomplete"
            )
        order = sorted(self._lines, key=lambda place: place[:2])
        with written(self._folder):
            self._rewrite([self._lines[place] for place in order])
            self._header["complete"] = True
            self._write_header()

    def _place(self, record: RunRecord) -> tuple[int, int, str]:
        places = {cell.id: place for place, cell in enumerate(self._grid.cells)}
        return places[record.cell.id], record.round or 0, record.target

    def _rewrite(self, lines: list[str]) -> None:
        """Replace all lines; what is added later goes into the new file."""
        replace_text(self._folder / RECORDS_NAME, "".join(lines))
        with suppress(OSError):
            self._records.close()
        self._records = self._opened.enter_context((self._folder / RECORDS_NAME).open("ab", buffering=0))

    def __enter__(self) -> RecordWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):  # what could not be written has raised before
            self._opened.close()

    def _write_files(self, record: RunRecord) -> dict[str, Any]:
        """Write what has files of its own; return the values of the line with the rest."""
        line = record.to_json()
        line["log"] = self._write_log(record.result.log, line["decision_digest"])
        if record.result.rank_logs:
            digests = line["rank_digests"]
            logs = zip(record.result.rank_logs, digests, strict=True)
            line["rank_logs"] = [self._write_log(log, digest) for log, digest in logs]
        facts, executed = record.result.facts, record.result.executed
        line["facts"] = None if facts is None else self._write_content(facts.to_bytes(), FACTS_ENDING)
        if executed is not None:
            line["executed"] = self._write_content(executed.to_bytes(), LINES_ENDING)
        return line

    def _write_log(self, log: DecisionLog, digest: str) -> str:
        """Write a log that is not there yet; return its name."""
        name = f"{LOGS_NAME}/{digest[:16]}{LOG_ENDING}"
        if not (self._folder / name).exists():
            with replaced(self._folder / name) as scratch:
                log.write(scratch)
        return name

    def _write_content(self, content: bytes, ending: str) -> str:
        """Write a file that is named by its content; return its name."""
        name = f"{LOGS_NAME}/{hashlib.sha256(content).hexdigest()[:16]}{ending}"
        if not (self._folder / name).exists():
            with replaced(self._folder / name) as scratch:
                scratch.write_bytes(content)
        return name

    def _write_header(self) -> None:
        replace_text(self._folder / HEADER_NAME, json.dumps(self._header, indent=1) + "\n")


def _header_of(grid: Grid) -> dict[str, object]:
    return {"grid": grid.name, "grid_digest": grid.digest, "cells": len(grid.cells)}
