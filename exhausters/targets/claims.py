"""Which folders of the cache running processes use, so that pruning leaves them alone.

Each process has one file, locked as long as it lives, with a line for each folder it uses. Before it looks
whether a folder is there it adds the line, under a lock that it shares with all but a pruner: what a pruner
finds unclaimed while it holds that lock alone, nobody uses and nobody begins to use.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from threading import Lock

from exhausters.results_folder import append_whole
from exhausters.targets.cache_root import cache_root

__all__ = ["CLAIMS_NAME", "alone", "claim"]

CLAIMS_NAME = "in_use"
_TURN_NAME = "turn.lock"
_MAY_NOT_WRITE = (errno.EROFS, errno.EACCES, errno.EPERM)

_lock = Lock()
# Of this process, by the root of the cache; a forked child shares its parent's.
_files: dict[Path, FileIO] = {}
_claimed: set[Path] = set()


def claim(folder: Path) -> None:
    """Say that this process uses a folder of the cache from now until its end.

    Folders outside of the cache are nobody's business, and who may not write a cache uses it unclaimed: it is
    pruned by whoever may. A full disk is another matter: that is when people prune.

    Raises:
        OSError: it cannot be said, so the folder must not be used.
    """
    root = cache_root()
    if not folder.is_relative_to(root):
        return
    with _lock:
        if folder in _claimed:
            return
        try:
            _write_claim(root, folder)
        except OSError as error:
            if error.errno not in _MAY_NOT_WRITE:
                raise
        else:
            _claimed.add(folder)


def _write_claim(root: Path, folder: Path) -> None:
    place = root / CLAIMS_NAME
    place.mkdir(parents=True, exist_ok=True)
    with (place / _TURN_NAME).open("a") as turn:
        fcntl.flock(turn, fcntl.LOCK_SH)
        if root not in _files:
            _files[root] = _own_file(place)
        append_whole(_files[root], f"{folder.relative_to(root)}\n".encode())


def _own_file(place: Path) -> FileIO:
    file = (place / f"{os.getpid()}-{secrets.token_hex(4)}").open("xb", buffering=0)
    fcntl.flock(file, fcntl.LOCK_EX)
    return file


@contextlib.contextmanager
def alone(root: Path, *, own: bool = True) -> Iterator[frozenset[Path]]:
    """Yield the folders that other processes, and this one, use; until the block ends nobody claims another.

    Without `own`, those that only this process uses are left out: it knows what it is done with.

    Raises:
        OSError: the cache cannot be written.
    """
    place = root / CLAIMS_NAME
    place.mkdir(parents=True, exist_ok=True)
    with (place / _TURN_NAME).open("a") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        mine = _files.get(root)
        others = [file for file in place.iterdir() if own or mine is None or str(file) != mine.name]
        yield frozenset(folder for file in others for folder in _claims_in(file, root))


def _claims_in(file: Path, root: Path) -> Iterator[Path]:
    """The lines of a file whose process lives; that of another is deleted."""
    if file.name == _TURN_NAME:
        return
    with file.open() as lines:
        try:
            fcntl.flock(lines, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield from (root / line.rstrip("\n") for line in lines)
            return
        file.unlink()
