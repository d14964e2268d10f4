"""One command at a time writes into a folder of results; the kernel gives the lock back however it ends."""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import TextIO

from exhausters.errors import FolderBusyError

LOCK_NAME = ".lock"


def lock_folder(folder: Path, *, holds: str) -> TextIO:
    """Lock an existing folder until the returned file is closed, or this process ends.

    Args:
        folder: where `LOCK_NAME` is created; the file stays.
        holds: what else would write there, such as `comparison`; for the message.

    Raises:
        FolderBusyError: another command writes into it.
        OSError: the file cannot be created.
    """
    lock = (folder / LOCK_NAME).open("a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.close()
        raise FolderBusyError(
            f"--out {folder}: another {holds} writes into it; wait for it, or choose another folder"
        ) from error
    except BaseException:
        lock.close()
        raise
    return lock


def is_foreign(folder: Path, header_name: str) -> bool:
    """Return whether a folder, or a file in its place, holds what no command with this header wrote."""
    if not folder.exists():
        return False
    if not folder.is_dir():
        return True
    names = {path.name for path in folder.iterdir()}
    return bool(names - {LOCK_NAME}) and header_name not in names
