"""Writes records to disk during a run, so that a killed worker loses at most one batch of them."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# Written in batches of this many records, one per step: at most so many are lost.
SPOOL_STEPS = 128


class StepSpool:
    """Appends batches of records to a file; without a path it does nothing."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._written = 0
        if path is not None:
            path.unlink(missing_ok=True)

    def offer(self, records: Sequence[object]) -> None:
        """Write what is new once a batch is full."""
        if self._path is None or len(records) - self._written < SPOOL_STEPS:
            return
        with self._path.open("ab") as file:
            pickle.dump(tuple(records[self._written :]), file)
        self._written = len(records)


def read_spool(path: Path) -> tuple[Any, ...]:
    """Return the records of a spool; a batch that was being written when the worker died is left out."""
    records: list[Any] = []
    try:
        with path.open("rb") as file:
            while True:
                records.extend(pickle.load(file))
    except (EOFError, FileNotFoundError, pickle.UnpicklingError):
        return tuple(records)
