"""Equal files of exported commits are one file on disk: each export holds hard links to it.

    $EXHAUSTERS_CACHE/files/ab/cdef…     a file, by the id that git gives its content
    $EXHAUSTERS_CACHE/files/ab/cdef….x   the same, executable

Files are read-only, since a change would be one of every commit that has them. Several processes may export
at once: a file is written in one place and then linked from the others.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from exhausters.errors import TargetError
from exhausters.targets import git
from exhausters.targets.git import TreeFile

__all__ = ["FILES_NAME", "export_commit"]

FILES_NAME = "files"
_BYTECODE = "__pycache__"


def export_commit(
    repository: Path, commit: str, folder: str, destination: Path, *, store: Path, like: Path | None = None
) -> None:
    """Write `folder` as it is in `commit` into the existing, empty folder `destination`.

    Args:
        repository: a git folder.
        commit: 40 hexadecimal digits.
        folder: relative to the commit's root.
        destination: where to.
        store: the folder of files that exports share, on the same file system; made if missing.
        like: an earlier export of which bytecode is taken where the source is the same file.

    Raises:
        TargetError: git could not read the files, or one has a path out of the folder.
        OSError: a file could not be written.
    """
    files = git.tree_files(repository, commit, folder)
    for file in files:
        if file.path.startswith("/") or ".." in file.path.split("/"):
            raise TargetError(
                f"{repository}: commit {commit} has a file {file.path!r}; expected none outside"
            )
    for parent in {(destination / file.path).parent for file in files}:
        parent.mkdir(parents=True, exist_ok=True)
    plain = [file for file in files if file.is_plain]
    missing: dict[str, list[TreeFile]] = {}
    for file in plain:
        if not file.size_bytes:
            # There are hundreds in each commit, they take no room, and a file can have so many names only.
            _write_empty(destination / file.path, is_executable=file.is_executable)
        elif not _linked(_place(store, file), destination / file.path, size_bytes=file.size_bytes):
            missing.setdefault(file.blob, []).append(file)
    for blob, content in git.blobs(repository, missing):
        for file in missing[blob]:
            _write(destination / file.path, content, _place(store, file))
    _make_others(repository, [file for file in files if not file.is_plain], destination)
    if like is not None:
        _share_bytecode(like, destination, plain)


def _place(store: Path, file: TreeFile) -> Path:
    return store / file.blob[:2] / f"{file.blob[2:]}{'.x' if file.is_executable else ''}"


def _linked(stored: Path, place: Path, *, size_bytes: int) -> bool:
    """Make a link to a stored file; False where there is none, or not one like it."""
    try:
        if stored.stat().st_size != size_bytes:  # the machine went down while it was written
            stored.unlink()
            return False
        os.link(stored, place)
    except OSError as error:
        if error.errno == errno.EMLINK:  # a file system has a limit: begin with another copy
            with contextlib.suppress(OSError):
                stored.unlink()
        return False
    return True


def _write(place: Path, content: bytes, stored: Path) -> None:
    if _linked(stored, place, size_bytes=len(content)):  # of two equal files in one commit
        return
    place.write_bytes(content)
    place.chmod(0o555 if stored.suffix else 0o444)
    # Another process was first, or the file system has no links: the export is whole all the same.
    with contextlib.suppress(OSError):
        stored.parent.mkdir(parents=True, exist_ok=True)
        os.link(place, stored)


def _write_empty(place: Path, *, is_executable: bool) -> None:
    place.touch()
    place.chmod(0o555 if is_executable else 0o444)


def _make_others(repository: Path, files: Iterable[TreeFile], destination: Path) -> None:
    """Make symbolic links, and empty folders where submodules would be, as `git archive` does."""
    links = {file.path: file.blob for file in files if file.is_link}
    targets = dict(git.blobs(repository, links.values()))
    for path, blob in links.items():
        (destination / path).symlink_to(os.fsdecode(targets[blob]))
    for file in files:
        if file.is_submodule:
            (destination / file.path).mkdir(exist_ok=True)


def _share_bytecode(like: Path, destination: Path, files: Sequence[TreeFile]) -> None:
    """Link compiled files of sources that both exports share: neither has to compile them, nor to keep two.

    Python compares the time and the size of the source, and puts the path right when it loads them.
    """
    compiled: dict[str, list[tuple[str, str]]] = {}
    for file in files:
        folder, _, name = file.path.rpartition("/")
        if folder not in compiled:
            compiled[folder] = _compiled_in(like / folder / _BYTECODE)
        stem = name.removesuffix(".py")
        for source, bytecode in compiled[folder]:
            if source == stem and name.endswith(".py"):
                with contextlib.suppress(OSError):
                    if (like / file.path).stat().st_ino == (destination / file.path).stat().st_ino:
                        target = destination / folder / _BYTECODE
                        target.mkdir(exist_ok=True)
                        os.link(like / folder / _BYTECODE / bytecode, target / bytecode)


def _compiled_in(folder: Path) -> list[tuple[str, str]]:
    """Stems of sources with the names of their compiled files, such as `a` and `a.cpython-311.pyc`."""
    try:
        return [(name.partition(".")[0], name) for name in os.listdir(folder) if name.endswith(".pyc")]
    except OSError:
        return []
