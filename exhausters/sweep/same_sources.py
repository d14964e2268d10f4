"""Whether a target has the files that a run of another imported, and none that it would import instead.

What is imported follows from the digests of the imported files, unless another file would be found first, a
name that was not found is there now, or a folder that is searched for modules holds another file.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from exhausters.engine.api import ImportedSources

# What `import` finds a module in beside a `.py` file.
_COMPILED = (".so", ".pyd", ".pyc")
_INIT = "__init__"


class SourceTree:
    """The files of one target; each is read once.

    Args:
        folder: what contains `sglang/`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names: dict[str, frozenset[str]] = {}
        self._digests: dict[str, str | None] = {}

    def has(self, sources: ImportedSources) -> bool:
        """Whether a run of this target would import exactly these files."""
        return (
            all(self.digest(path) == digest for path, digest in sources.files.items())
            and not any(self._is_shadowed(path) for path in sources.files)
            and not any(self._is_folder(name) or self._is_module(name) for name in sources.absent)
            and not any(self._is_module(name) for name in sources.elsewhere)
            and all(self._listing(folder) == set(names) for folder, names in sources.listed.items())
        )

    def digest(self, path: str) -> str | None:
        """Return the SHA-256 of a file, or None if there is none that can be read."""
        if path not in self._digests:
            try:
                with (self._folder / path).open("rb") as file:
                    self._digests[path] = hashlib.file_digest(file, "sha256").hexdigest()
            except OSError:
                self._digests[path] = None
        return self._digests[path]

    def _listing(self, folder: str) -> frozenset[str]:
        """Names in a folder, except for bytecode; empty when there is no such folder."""
        folder = folder.strip("/")
        if folder not in self._names:
            try:
                names = frozenset(os.listdir(self._folder / folder)) - {"__pycache__"}
            except OSError:
                names = frozenset()
            self._names[folder] = names
        return self._names[folder]

    def _is_shadowed(self, path: str) -> bool:
        folder, _, file = path.rpartition("/")
        stem = file.partition(".")[0]
        if stem != _INIT and self._is_package(f"{folder}/{stem}" if folder else stem):
            return True
        found = self._files_of(folder, stem, _COMPILED)
        return file not in found and any(not name.endswith(".pyc") for name in found)

    def _is_module(self, dotted: str) -> bool:
        path = dotted.replace(".", "/")
        folder, _, stem = path.rpartition("/")
        return self._is_package(path) or bool(self._files_of(folder, stem, (".py", *_COMPILED)))

    def _is_package(self, path: str) -> bool:
        return bool(self._files_of(path, _INIT, (".py", *_COMPILED)))

    def _is_folder(self, dotted: str) -> bool:
        folder, _, name = dotted.replace(".", "/").rpartition("/")
        return name in self._listing(folder) and (self._folder / folder / name).is_dir()

    def _files_of(self, folder: str, stem: str, endings: tuple[str, ...]) -> list[str]:
        """Files in a folder that are a module of this name, such as `x.py` or `x.cpython-311.so`."""
        start = f"{stem}."
        names = self._listing(folder)
        return [name for name in names if name.startswith(start) and name.endswith(endings)]
