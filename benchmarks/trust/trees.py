"""A copy of a release in which one file can be changed, without a second copy on disk."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from string import Template

from exhausters.errors import FolderBusyError, UsageError
from exhausters.targets import PreparedTarget, prepare
from exhausters.targets.cache import cache_root


class Tree:
    """A folder with hard links to the sources of a release; one file at a time differs.

    All plants share one folder: a worker then finds the byte code of the thousand files that do not differ.
    """

    def __init__(self, folder: Path, source: Path) -> None:
        self.folder = folder
        self._source = source

    @contextmanager
    def planted(self, file: str, code: str, values: Mapping[str, int]) -> Iterator[PreparedTarget]:
        """Append code to a file until the block ends; yields the changed build.

        Args:
            file: path below the folder.
            code: what is appended, with `$NAME` for values.
            values: numbers by name.

        Raises:
            UsageError: no such file in this release, or a name without a value.
        """
        original, changed = self._source / file, self.folder / file
        if not original.is_file():
            raise UsageError(f"{file}: not in this release; the plants are written for another one")
        try:
            text = Template(code).substitute(values)
        except (KeyError, ValueError) as error:
            raise UsageError(f"{file}: planted code has a name without a value: {error}") from error
        # A new file: writing into a hard link would change the release.
        changed.unlink(missing_ok=True)
        changed.write_text(original.read_text() + "\n\n" + text)
        try:
            yield prepare(f"path:{self.folder}")
        finally:
            changed.unlink(missing_ok=True)
            _link(original, changed)


@contextmanager
def tree_of(release: PreparedTarget, name: str) -> Iterator[Tree]:
    """Make a copy of a release below the cache, and remove it, and its byte code, when the block ends.

    Raises:
        FolderBusyError: another command uses the copy of this name.
    """
    root = cache_root() / "trust"
    root.mkdir(parents=True, exist_ok=True)
    folder, source = root / name, release.source_dirs[0]
    with (root / f"{name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise FolderBusyError(f"{folder}: another command plants changes; wait for it") from error
        shutil.rmtree(folder, ignore_errors=True)
        try:
            for part in sorted(source.iterdir()):
                if part.name.startswith("sglang"):
                    shutil.copytree(
                        part,
                        folder / part.name,
                        copy_function=_link,
                        ignore=shutil.ignore_patterns("__pycache__"),
                    )
            yield Tree(folder, source)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            shutil.rmtree(cache_root() / "pycache" / folder.relative_to("/"), ignore_errors=True)


def _link(source: str | Path, target: str | Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)
