"""Exported commits of a scan, deleted again: a scan visits thousands.

Exports share their files and their bytecode (`exhausters.targets.file_store`): a further one takes a second
and some 2 MB, and a worker compiles only what has changed.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from exhausters.targets import PreparedTarget, prepare
from exhausters.targets.cache import MARKER, Progress, cache_root, is_complete, locked
from exhausters.targets.claims import alone

# So many exports stay until a newer one takes their place: the next one takes its bytecode from one of them.
KEPT = 4


@dataclass(slots=True, kw_only=True)
class Exports:
    """Prepares commits of a history; owns the exports that it made.

    Attributes:
        keep: leave all of them in the cache.
    """

    keep: bool = False
    _ours: list[str] = field(default_factory=list)

    def prepare(self, target: str, commit: str, on_progress: Progress | None = None) -> PreparedTarget:
        """Return the commit, ready to boot; raises TargetError if it cannot be prepared."""
        if not is_complete(_folder(commit)):
            self._ours.append(commit)
        return prepare(target, on_progress=on_progress)

    def let_go(self) -> None:
        """Delete the oldest exports beyond `KEPT`; called when no worker runs."""
        self._delete(self._ours[:-KEPT])

    def close(self) -> None:
        """Delete what is left; what another process uses stays in the cache."""
        self._delete(self._ours)

    def _delete(self, commits: Sequence[str]) -> None:
        if commits and not self.keep:
            self._ours = [one for one in self._ours if one not in commits or not discard(one)]


def discard(commit: str) -> bool:
    """Delete an export, unless another process uses it; files that others share stay.

    Returns:
        Whether it is gone.
    """
    folder = _folder(commit)
    if not folder.exists():
        return True
    with alone(cache_root(), own=False) as claimed:
        if any(folder in (path, *path.parents) for path in claimed):
            return False
        with locked(folder.with_name(f"{folder.name}.lock"), what=folder.name):
            # Without its marker the rest is no export any more, also if this process ends here.
            (folder / MARKER).unlink(missing_ok=True)
            shutil.rmtree(folder, ignore_errors=True)
    return True


def _folder(commit: str) -> Path:
    """Where `fetch_commit` exports a commit to."""
    return cache_root() / "commits" / commit
