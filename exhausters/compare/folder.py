"""The folder of a comparison: one command writes into it at a time, and over earlier comparisons only."""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from exhausters.errors import FolderBusyError, StoreError, UsageError

HEADER_NAME, LOCK_NAME = "compare.json", ".lock"
BASE, HEAD, PAIRS = "base", "head", "pairs"
_RECORDS = (BASE, HEAD, PAIRS)


@contextmanager
def comparison_folder(folder: Path, *, reports: tuple[str, ...]) -> Iterator[Path]:
    """Make room in a folder for one comparison, and keep other commands out until the block ends.

    Args:
        folder: an empty folder, one that does not exist yet, or an earlier comparison, which is removed.
        reports: names of the files that reports are written to.

    Raises:
        FolderBusyError: another comparison writes into it.
        UsageError: it holds anything but a comparison.
        StoreError: it cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or _is_foreign(folder)):
        raise UsageError(f"--out {folder}: expected an empty folder or an earlier comparison; choose another")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / LOCK_NAME).open("w")
    except OSError as error:
        raise _unwritable(folder, error) from error
    # The kernel gives the lock back however this process ends.
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise FolderBusyError(
                f"--out {folder}: another comparison writes into it; wait for it, or choose another folder"
            ) from error
        try:
            for name in _RECORDS:
                shutil.rmtree(folder / name, ignore_errors=True)
            for name in (HEADER_NAME, *reports):
                (folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise _unwritable(folder, error) from error
        yield folder


def write_header(folder: Path, values: Mapping[str, Any]) -> None:
    """Write what is compared, and how far it has come; raises StoreError if it cannot be written."""
    try:
        scratch = folder / f"{HEADER_NAME}.tmp"
        scratch.write_text(json.dumps(values, indent=1) + "\n")
        scratch.replace(folder / HEADER_NAME)
    except OSError as error:
        raise _unwritable(folder, error) from error


def _is_foreign(folder: Path) -> bool:
    names = {path.name for path in folder.iterdir()}
    return bool(names - {LOCK_NAME}) and HEADER_NAME not in names


def _unwritable(folder: Path, error: OSError) -> StoreError:
    return StoreError(
        f"--out {folder}: cannot be written ({error.strerror or error}); make room, or choose another folder"
    )
