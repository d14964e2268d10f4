"""Remove from the cache what was not used for long, or the oldest beyond a size; never what is in use."""

from __future__ import annotations

import contextlib
import fcntl
import secrets
import shutil
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from exhausters.errors import CacheFolderError
from exhausters.targets.cache_space import CacheEntry, Inode, cache_entries, shared_files, size_bytes
from exhausters.targets.claims import alone
from exhausters.targets.file_store import FILES_NAME

__all__ = ["Pruned", "choose", "in_use", "prune"]

# Its files are shared by commits: they go when no commit has them.
_COMMITS = "commits"
_AWAY = ".removed-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """What was removed, or would be.

    Attributes:
        removed: entries, least recently used first.
        kept_in_use: entries that would have been, but are in use.
        freed_bytes: how much smaller the cache is; disks free less where other programs have the same files.
    """

    removed: tuple[CacheEntry, ...]
    kept_in_use: tuple[CacheEntry, ...]
    freed_bytes: int


@dataclass(slots=True)
class _Space:
    """How many names each file of the cache has left."""

    inodes: dict[Inode, int] = field(default_factory=dict)
    links: Counter[Inode] = field(default_factory=Counter)
    stored: frozenset[Inode] = frozenset()

    def without(self, entry: CacheEntry) -> int:
        """Take an entry away; return the bytes that no other has, but for the store of shared files."""
        freed = 0
        for inode, count in entry.links.items():
            self.links[inode] -= count
            if self.links[inode] <= (inode in self.stored):
                freed += self.inodes[inode]
        return freed


def choose(
    entries: Sequence[CacheEntry],
    *,
    kinds: Collection[str] = (),
    unused_since: float | None = None,
    max_bytes: int | None = None,
    total_bytes: int = 0,
    frees: Callable[[CacheEntry], int] = lambda entry: sum(entry.inodes.values()),
) -> list[CacheEntry]:
    """Return what to remove: of these kinds all that was not used since, or the oldest beyond a size.

    What killed builders left half built is always among them. Without a time and a size, all of the kinds
    are, and without kinds nothing else is.

    Args:
        entries: what the cache holds.
        kinds: of these only; empty for all.
        unused_since: seconds since 1970.
        max_bytes: remove, least recently used first, until the cache is no larger.
        total_bytes: how large it is.
        frees: how much smaller it is without an entry; called once for each, in order of removal.
    """
    of_kind = [entry for entry in entries if not kinds or entry.kind in kinds]
    is_whole = bool(kinds) and unused_since is None and max_bytes is None
    chosen = []
    for entry in sorted(of_kind, key=lambda one: one.used):
        is_old = unused_since is not None and entry.used < unused_since
        is_beyond = max_bytes is not None and total_bytes > max_bytes
        if entry.is_half_built or is_whole or is_old or is_beyond:
            chosen.append(entry)
            total_bytes -= frees(entry)
    return chosen


def prune(
    root: Path,
    *,
    kinds: Collection[str] = (),
    unused_since: float | None = None,
    max_bytes: int | None = None,
    is_dry: bool = True,
) -> Pruned:
    """Remove from the cache what `choose` chooses, or only say what that is.

    What a running process claims or builds stays. While this removes, processes wait that begin to use a
    folder of the cache. Files that no exported commit has any more are removed with it.

    Raises:
        CacheFolderError: the cache cannot be written, as even a dry run must.
    """
    try:
        with alone(root) as claimed:
            entries, store = cache_entries(root), shared_files(root)
            space = _Space(stored=frozenset(store.inodes))
            for entry in (*entries, store):
                space.inodes |= entry.inodes
                space.links.update(entry.links)
            free = [entry for entry in entries if not in_use(entry, claimed)]
            chosen = choose(
                free,
                kinds=kinds,
                unused_since=unused_since,
                max_bytes=max_bytes,
                total_bytes=size_bytes((*entries, store)),
                frees=space.without,
            )
            busy = [entry for entry in entries if entry not in free]
            # Beyond a size nothing in particular has to go.
            blocked = [] if max_bytes is not None else choose(busy, kinds=kinds, unused_since=unused_since)
            orphans = [inode for inode in store.inodes if space.links[inode] <= 1]
            is_of_commits = not kinds or {_COMMITS, FILES_NAME} & set(kinds)
            freed = _freed(chosen, store, space, orphans if is_of_commits else ())
            if not is_dry:
                for rest in root.glob(f"{_AWAY}*"):  # of a pruner that was killed
                    shutil.rmtree(rest)
                for entry in chosen:
                    _remove(root, entry)
                if is_of_commits:
                    _remove_orphans(root / FILES_NAME)
    except OSError as error:
        raise CacheFolderError(f"{root}: cannot be pruned ({error})") from error
    return Pruned(removed=tuple(chosen), kept_in_use=tuple(blocked), freed_bytes=freed)


def in_use(entry: CacheEntry, claimed: Collection[Path]) -> bool:
    """Return whether a running process uses an entry, or builds it."""
    if any(path == entry.path or entry.path in path.parents for path in claimed):
        return True
    try:
        with entry.lock.open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _freed(chosen: Sequence[CacheEntry], store: CacheEntry, space: _Space, orphans: Collection[Inode]) -> int:
    gone = {inode for entry in chosen for inode in entry.links if space.links[inode] <= 0}
    return sum(space.inodes[inode] for inode in gone | set(orphans))


def _remove(root: Path, entry: CacheEntry) -> None:
    """Out of the way at once, so that nothing half removed is ever taken for an entry."""
    away = root / f"{_AWAY}{secrets.token_hex(4)}"
    entry.path.rename(away)
    entry.lock.unlink(missing_ok=True)
    shutil.rmtree(away)


def _remove_orphans(store: Path) -> None:
    for path in store.glob("*/*"):
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_nlink == 1:
                path.unlink()
