"""The folder of a growth measurement: `runs.jsonl` fills meanwhile, `growth.json` says how far it came."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from exhausters.errors import StoreError, UsageError
from exhausters.folder_lock import is_foreign, lock_folder
from exhausters.growth.measure import PointRun

HEADER_NAME, RUNS_NAME = "growth.json", "runs.jsonl"


class GrowthWriter:
    """Writes one measurement; every run is on disk when `add` returns."""

    def __init__(self, folder: Path, header: Mapping[str, Any]) -> None:
        self._folder = folder
        self._header = {**header, "complete": False}
        (folder / RUNS_NAME).write_text("")
        self._write_header()

    def add(self, run: PointRun) -> None:
        """Write one run; raises StoreError if the folder cannot be written."""
        with _written(self._folder), (self._folder / RUNS_NAME).open("a") as file:
            file.write(json.dumps(run.to_json()) + "\n")

    def finish(self, answer: Mapping[str, Any]) -> None:
        """Write the answer, and that the measurement is complete; raises StoreError like `add`."""
        self._header = {**self._header, **answer, "complete": True}
        with _written(self._folder):
            self._write_header()

    def _write_header(self) -> None:
        scratch = self._folder / f"{HEADER_NAME}.tmp"
        scratch.write_text(json.dumps(self._header, indent=1) + "\n")
        scratch.replace(self._folder / HEADER_NAME)


@contextmanager
def growth_writer(folder: Path, header: Mapping[str, Any]) -> Iterator[GrowthWriter]:
    """Open a folder for one measurement; an earlier one in it is replaced.

    Raises:
        UsageError: it holds anything else.
        FolderBusyError: another command writes into it.
        StoreError: it cannot be written.
    """
    if is_foreign(folder, HEADER_NAME):
        raise UsageError(f"--out {folder}: expected an empty folder or an earlier growth; choose another")
    with _written(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = lock_folder(folder, holds="command")
    with lock:
        with _written(folder):
            writer = GrowthWriter(folder, header)
        yield writer


@contextmanager
def _written(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"--out {folder}: cannot be written ({error.strerror or error}); make room, or choose another"
        ) from error
