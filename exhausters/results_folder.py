"""A folder of results: one command at a time writes into it, and what cannot be written is told alike.

The kernel gives the lock back however a command ends. What `replace_text`, `replaced` and `append_synced`
have written is on the disk when they return, and stays there after a power cut.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import TextIO

from exhausters.errors import FolderBusyError, StoreError

LOCK_NAME, SCRATCH = ".lock", ".tmp"
# What a disk must take before work begins whose results are written at its end.
_ROOM_BYTES = 64 * 1024


@contextmanager
def folder_held(folder: Path, *, holds: str, then: str = "") -> Iterator[None]:
    """Make a folder, and keep other commands out of it until the block ends.

    Args:
        folder: created if missing.
        holds: what else would write there, such as `comparison`; for the message.
        then: see `folder_written`.

    Raises:
        FolderBusyError: another command writes into it.
        StoreError: it cannot be written: a full disk, a folder that is read-only.
    """
    with folder_written(folder, then=then):
        folder.mkdir(parents=True, exist_ok=True)
        lock = lock_folder(folder, holds=holds)
    with lock:
        yield


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
    """Return whether a folder, or a file in its place, holds what no command with this header wrote.

    A command that ended before it had written its header leaves its lock and a scratch file: both are ours.
    """
    if not folder.exists():
        return False
    if not folder.is_dir():
        return True
    names = {path.name for path in folder.iterdir()}
    return header_name not in names and bool(names - {LOCK_NAME, header_name + SCRATCH})


@contextmanager
def answer_folder(folder: Path, *, holds: str) -> Iterator[None]:
    """Hold a folder, as `folder_held` does, for a command that writes its answer only at its end.

    Raises:
        FolderBusyError: another command writes into it.
        StoreError: it cannot be written, as is found by trying: before the work, not after it.
    """
    with folder_held(folder, holds=holds):
        with folder_written(folder):
            _try_room(folder)
        yield


def write_answer(folder: Path, texts: Mapping[str, str], *, show: Callable[[str], None]) -> None:
    """Write the files of an answer; what the disk refuses now is shown instead, so that no work is lost.

    Args:
        folder: where they are written.
        texts: contents by name, the one that people read last.
        show: prints text.

    Raises:
        StoreError: one of them could not be written; all of those were shown.
    """
    refused: StoreError | None = None
    for name, text in texts.items():
        try:
            with folder_written(folder):
                replace_text(folder / name, text)
        except StoreError as error:
            refused = error
            show(f"{name}, which could not be written:\n{text}")
    if refused is not None:
        raise refused


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
    """Write a file as a whole, as `replaced` does; raises OSError."""
    with replaced(path) as scratch:
        scratch.write_text(text)


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """Give a scratch file to be written, which then takes the place of `path`.

    A reader, and whoever comes after a command that was killed or a power cut, finds the old file or the new
    one. An error leaves no scratch file: on a full disk it would take the room that others need.

    Raises:
        OSError: it cannot be written.
    """
    scratch = path.with_name(path.name + SCRATCH)
    try:
        yield scratch
        _sync(scratch)
        scratch.replace(path)
        _sync(path.parent)
    finally:
        with suppress(OSError):
            scratch.unlink(missing_ok=True)


def append_whole(file: FileIO, line: bytes) -> None:
    """Append a line whole or not at all: half a line would make the file unreadable; raises OSError."""
    before = file.seek(0, os.SEEK_END)
    left = memoryview(line)
    try:
        while left:
            left = left[file.write(left) :]
    except OSError:
        with suppress(OSError):
            file.truncate(before)
        raise


def append_synced(path: Path, line: str) -> None:
    """Append a line as `append_whole` does, and let the disk have it; raises OSError."""
    with path.open("ab", buffering=0) as file:
        append_whole(file, line.encode())
        os.fsync(file.fileno())


def _try_room(folder: Path) -> None:
    """Write and remove a file: a full disk may still take names; raises OSError."""
    trial = folder / f".room{SCRATCH}"
    try:
        trial.write_bytes(bytes(_ROOM_BYTES))
        _sync(trial)
    finally:
        with suppress(OSError):
            trial.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    """Let the disk have what was written into a file, or which names a folder has."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
