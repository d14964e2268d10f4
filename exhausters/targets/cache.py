"""Folders that are built once, by one process at a time, and are either complete or discarded.

Python environments remember their own path, so they cannot be built elsewhere and renamed. Instead a
folder is built in place under a lock, and a marker file inside it, written last, says that it is complete.
A folder without its marker (its builder was killed) is wiped and built again.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from exhausters.targets.cache_root import cache_root
from exhausters.targets.claims import claim

__all__ = ["MARKER", "Progress", "build_once", "cache_root", "is_complete", "locked"]

MARKER = "complete.json"

Progress = Callable[[str], None]


def is_complete(folder: Path) -> bool:
    """Return whether `folder` was built to its end."""
    return (folder / MARKER).is_file()


def build_once(
    folder: Path,
    build: Callable[[Path], None],
    *,
    content: Mapping[str, object],
    is_usable: Callable[[Path], bool] = is_complete,
    on_progress: Progress | None = None,
) -> Path:
    """Return `folder`, calling `build(folder)` first unless it exists, is complete and usable.

    Args:
        folder: absolute path inside the cache.
        build: fills the existing, empty folder; whatever it raises is passed on.
        content: written into the marker, for people who look into the cache.
        is_usable: a complete folder for which this is False is built again.
        on_progress: called when another process is building the same folder.

    Raises:
        OSError: the folder cannot be written, or not be claimed, as on a full disk.
    """
    claim(folder)
    if is_complete(folder) and is_usable(folder):
        # When it was used last is what pruning goes by.
        with contextlib.suppress(OSError):
            os.utime(folder / MARKER)
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with locked(folder.with_name(folder.name + ".lock"), what=folder.name, on_progress=on_progress):
        if is_complete(folder) and is_usable(folder):
            return folder
        _wipe(folder)
        folder.mkdir()
        try:
            build(folder)
        except Exception:
            _wipe(folder)
            raise
        _write_marker(folder, content)
    return folder


@contextlib.contextmanager
def locked(path: Path, *, what: str, on_progress: Progress | None = None) -> Iterator[None]:
    """Hold an exclusive lock on the file `path`; the kernel gives it back if this process dies.

    Args:
        path: created if missing, and kept.
        what: what is being built, for `on_progress`, which is called when another process holds the lock.
    """
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if on_progress is not None:
                file.seek(0)
                on_progress(f"waiting for another builder of {what} (process {file.read().strip() or '?'})")
            fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        file.truncate()
        file.write(f"{os.getpid()}\n")
        file.flush()
        # A child that outlives this process (uv after SIGKILL) must keep the lock until it has stopped
        # writing; otherwise the next builder would share the folder with it.
        os.set_inheritable(file.fileno(), True)
        yield


def _wipe(folder: Path) -> None:
    (folder / MARKER).unlink(missing_ok=True)
    if folder.exists():
        shutil.rmtree(folder)


def _write_marker(folder: Path, content: Mapping[str, object]) -> None:
    temporary = folder / f"{MARKER}.part"
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(dict(content), file, indent=1, sort_keys=True)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(folder / MARKER)
