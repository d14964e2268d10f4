"""The folder of a growth measurement: `runs.jsonl` fills meanwhile, `growth.json` says how far it came."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from exhausters.errors import UsageError
from exhausters.growth.measure import PointRun
from exhausters.results_folder import append_synced, folder_held, folder_written, is_foreign, replace_text

HEADER_NAME, RUNS_NAME = "growth.json", "runs.jsonl"


class GrowthWriter:
    """Writes one measurement; every run is on disk when `add` returns."""

    def __init__(self, folder: Path, header: Mapping[str, Any]) -> None:
        self._folder = folder
        self._header = {**header, "complete": False}
        # The header first: it says that the folder is ours, and that the runs are not all there.
        self._write_header()
        replace_text(folder / RUNS_NAME, "")

    def add(self, run: PointRun) -> None:
        """Write one run; raises StoreError if the folder cannot be written."""
        with folder_written(self._folder):
            append_synced(self._folder / RUNS_NAME, json.dumps(run.to_json()) + "\n")

    def finish(self, answer: Mapping[str, Any]) -> None:
        """Write the answer, and that the measurement is complete; raises StoreError like `add`."""
        self._header = {**self._header, **answer, "complete": True}
        with folder_written(self._folder):
            self._write_header()

    def _write_header(self) -> None:
        replace_text(self._folder / HEADER_NAME, json.dumps(self._header, indent=1) + "\n")


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
    with folder_held(folder, holds="command"):
        with folder_written(folder):
            writer = GrowthWriter(folder, header)
        yield writer
