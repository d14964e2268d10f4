"""Which files of a target a worker has imported: what its exact results depend on.

A name that was looked up in vain matters too: a later commit may add the file. So do folders that SGLang
searches for modules, as it does for its models: a new file there is imported as well. Data files that SGLang
opens are not watched.
"""

from __future__ import annotations

import hashlib
import os
import pkgutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from types import ModuleType
from typing import Any

from exhausters.engine.api import ImportedSources


class ImportWatch:
    """The last finder of `sys.meta_path`: is asked for what no other has found, and finds nothing.

    Attributes:
        folders: the target's source folders, each with a slash at its end.
        absent: names that were asked for.
        listed: folders of the target that were searched for modules, absolute.
    """

    def __init__(self, source_dirs: Sequence[str]) -> None:
        self.take(source_dirs)
        self.absent: set[str] = set()
        self.listed: set[str] = set()
        self._digests: dict[str, str] = {}

    def take(self, source_dirs: Sequence[str]) -> None:
        """Watch these folders from now on."""
        self.folders = tuple(folder.rstrip("/") + "/" for folder in source_dirs)

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        """Note the name; the import then fails as it would without this finder."""
        self.absent.add(name)

    def note_search(self, folders: object) -> None:
        """Note folders that `pkgutil` is about to search."""
        # The path of a package without `__init__.py` is no sequence.
        if isinstance(folders, Iterable) and not isinstance(folders, str):
            self.listed.update(str(one) for one in folders if f"{one}/".startswith(self.folders))

    def relative(self, path: str) -> str | None:
        """Return a path below a source folder relative to it, else None."""
        return next((path[len(folder) :] for folder in self.folders if path.startswith(folder)), None)

    def digest(self, path: str) -> str:
        """Return the SHA-256 of a file, read once."""
        if path not in self._digests:
            with open(path, "rb") as file:
                self._digests[path] = hashlib.file_digest(file, "sha256").hexdigest()
        return self._digests[path]


def watch_imports(source_dirs: Sequence[str]) -> None:
    """Start to watch; before anything of the target is imported.

    Called again, it watches other folders, and still knows what was looked up in vain before.
    """
    known = _watch()
    if known is not None:
        known.take(source_dirs)
        return
    watch = ImportWatch(source_dirs)
    sys.meta_path.append(watch)
    search: Any = pkgutil.iter_modules

    def iter_modules(path: Any = None, prefix: str = "") -> Iterator[Any]:
        found: Iterator[Any] = search(path, prefix)
        watch.note_search(path)
        return found

    pkgutil.iter_modules = iter_modules


def is_watching() -> bool:
    """Whether `watch_imports` was called."""
    return _watch() is not None


def asked_for() -> set[str]:
    """Return the first parts of all names that were imported, or looked up in vain."""
    watch = _watch()
    absent = () if watch is None else watch.absent
    return {name.partition(".")[0] for name in (*list(sys.modules), *absent)}


def imported_sources() -> ImportedSources:
    """Return what was imported since `watch_imports`; no file if that was never called."""
    watch = _watch()
    if watch is None:
        return ImportedSources(files={})
    files: dict[str, str] = {}
    elsewhere: set[str] = set()
    for name, module in list(sys.modules.items()):
        # Not getattr, which lets a lazy module import what it stands for.
        path = vars(module).get("__file__") if isinstance(module, ModuleType) else None
        relative = watch.relative(path) if isinstance(path, str) else None
        if relative is not None and isinstance(path, str):
            files[relative] = watch.digest(path)
        else:
            elsewhere.add(name)
    own = {path.partition("/")[0].partition(".")[0] for path in files}
    return ImportedSources(
        files=dict(sorted(files.items())),
        absent=_relevant(watch.absent - sys.modules.keys(), own),
        elsewhere=_relevant(elsewhere, own),
        listed={
            watch.relative(f"{folder}/") or "": tuple(sorted(set(os.listdir(folder)) - {"__pycache__"}))
            for folder in sorted(watch.listed)
        },
    )


def _watch() -> ImportWatch | None:
    return next((one for one in sys.meta_path if isinstance(one, ImportWatch)), None)


def _relevant(names: set[str], own: set[str]) -> tuple[str, ...]:
    """Names that a file of the target could stand for: first parts, and all below the target's packages."""
    first = {name.partition(".")[0] for name in names if name.partition(".")[0] not in own}
    return tuple(sorted(first | {name for name in names if name.partition(".")[0] in own}))
