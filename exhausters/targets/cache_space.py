"""What the cache holds: entries by kind, how large they are, and when each was used last.

| kind | an entry is | built again by |
|---|---|---|
| releases | the sources of a published release | a download |
| environments | what targets with equal pins import | an installation |
| commits | the exported sources of a commit | an export |
| files | the files that exported commits share; those of no commit go with `prune` | an export |
| results | exact results of runs | a run |
| mirrors | local histories that tests made | a download |
| pycache | bytecode of checkouts, which are not written into | the next import |
| other | what nothing above names | |
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from exhausters.targets.cache import MARKER
from exhausters.targets.claims import CLAIMS_NAME
from exhausters.targets.file_store import FILES_NAME

__all__ = ["BUILT", "KINDS", "CacheEntry", "Inode", "cache_entries", "shared_files", "size_bytes"]

# Kinds with one folder for each entry, which is complete once it holds its marker.
BUILT = ("releases", "environments", "commits")
_MIRRORS = "mirrors"
# Kinds that are one entry.
_WHOLE = ("results", "pycache")
KINDS = (*BUILT, FILES_NAME, *_WHOLE, _MIRRORS, "other")

# A file on disk, however many names it has.
Inode = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheEntry:
    """One thing that can be removed.

    Attributes:
        kind: one of `KINDS`.
        path: the folder, or file.
        inodes: bytes on disk of each file in it.
        links: how many names each file has in it.
        used: when it was used last, in seconds since 1970; 0 where a killed builder left it half built.
    """

    kind: str
    path: Path
    inodes: Mapping[Inode, int]
    links: Mapping[Inode, int]
    used: float

    @property
    def name(self) -> str:
        """Kind and name, as they are shown."""
        return f"{self.kind}/{self.path.name}" if self.path.name != self.kind else self.kind

    @property
    def lock(self) -> Path:
        """The file that who builds it has locked."""
        return self.path.with_name(self.path.name + ".lock")

    @property
    def is_half_built(self) -> bool:
        """Whether its builder was killed."""
        return self.kind in BUILT and not self.used


def cache_entries(root: Path) -> list[CacheEntry]:
    """Return what the cache holds, by kind, least recently used first; reads every file's size.

    The files that commits share are no entry: see `shared_files`.
    """
    found = [_entry(kind, path) for kind in (*BUILT, _MIRRORS) for path in _folders(root / kind)]
    found += [_entry(kind, root / kind) for kind in _WHOLE if (root / kind).is_dir()]
    known = {*BUILT, *_WHOLE, _MIRRORS, FILES_NAME, CLAIMS_NAME}
    for place in _folders(root):
        if place.name not in known and not place.name.startswith("."):
            found += [_entry("other", path) for path in _folders(place)]
    return sorted(found, key=lambda entry: (KINDS.index(entry.kind), entry.used, entry.path.name))


def shared_files(root: Path) -> CacheEntry:
    """Return the files that exported commits share."""
    return _entry(FILES_NAME, root / FILES_NAME)


def size_bytes(entries: Iterable[CacheEntry]) -> int:
    """Return what entries take on disk: a file with several names counts once."""
    inodes: dict[Inode, int] = {}
    for entry in entries:
        inodes |= entry.inodes
    return sum(inodes.values())


def _folders(place: Path) -> list[Path]:
    try:
        return sorted(path for path in place.iterdir() if path.is_dir() and not path.is_symlink())
    except OSError:
        return []


def _entry(kind: str, path: Path) -> CacheEntry:
    inodes: dict[Inode, int] = {}
    links: Counter[Inode] = Counter()
    newest = 0.0
    for found in _files(path):
        is_folder = stat.S_ISDIR(found.st_mode)
        if is_folder and kind == FILES_NAME:  # they stay when the last file has gone
            continue
        inode = found.st_dev, found.st_ino
        inodes[inode] = found.st_blocks * 512
        links[inode] += 1
        if not is_folder:
            newest = max(newest, found.st_mtime)
    if kind in BUILT:
        try:
            newest = (path / MARKER).stat().st_mtime
        except OSError:
            newest = 0.0
    return CacheEntry(kind=kind, path=path, inodes=inodes, links=links, used=newest)


def _files(folder: Path) -> Iterator[os.stat_result]:
    """Every file and folder below a folder; what vanishes meanwhile is left out."""
    try:
        with os.scandir(folder) as places:
            for place in places:
                try:
                    yield place.stat(follow_symlinks=False)
                    if place.is_dir(follow_symlinks=False):
                        yield from _files(Path(place.path))
                except OSError:
                    continue
    except OSError:
        return
