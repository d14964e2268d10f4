"""The folder of a comparison: one command writes into it at a time, and over earlier comparisons only."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from exhausters.errors import UsageError
from exhausters.results_folder import folder_held, folder_written, is_foreign, replace_text

HEADER_NAME = "compare.json"
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
    if is_foreign(folder, HEADER_NAME):
        raise UsageError(f"--out {folder}: expected an empty folder or an earlier comparison; choose another")
    with folder_held(folder, holds="comparison"):
        with folder_written(folder):
            for name in _RECORDS:
                shutil.rmtree(folder / name, ignore_errors=True)
            for name in (HEADER_NAME, *reports):
                (folder / name).unlink(missing_ok=True)
        yield folder


def write_header(folder: Path, values: Mapping[str, Any]) -> None:
    """Write what is compared, and how far it has come; raises StoreError if it cannot be written."""
    with folder_written(folder):
        replace_text(folder / HEADER_NAME, json.dumps(values, indent=1) + "\n")
