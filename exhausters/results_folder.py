"""A folder of results: one command at a time writes into it, and what cannot be written is told alike.

The kernel gives the lock back however a command ends.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from exhausters.errors import FolderBusyError, StoreError

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


@contextmanager
def folder_written(folder: Path, *, then: str = "") -> Iterator[None]:
    """Tell an OSError of the block as a StoreError that names the folder and what to do.

    Args:
        folder: what is written.
        then: what to do after making room, such as "call the same command again"; may be empty.
    """
    try:
        yield
    except OSError as error:
        again = f" and {then}" if then else ""
        raise StoreError(
            f"--out {folder}: cannot be written ({error.strerror or error}); make room{again}, or choose "
            "another folder"
        ) from error


def replace_text(path: Path, text: str) -> None:
    """Write a file as a whole: a reader, or a command that is killed, finds the old text or the new one."""
    scratch = path.with_name(f"{path.name}.tmp")
    scratch.write_text(text)
    scratch.replace(path)
