"""Exported commits of a scan: made of one that is there already, and deleted again.

One is some 50 MB, and a scan visits thousands. Most of its files are those of a commit near it: they are hard
links, bytecode included, so that an export takes a second, and a worker compiles only what has changed.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from exhausters.errors import TargetError
from exhausters.scan.history import SOURCE_FOLDER
from exhausters.targets import PreparedTarget, prepare
from exhausters.targets.cache import MARKER, Progress, build_once, cache_root, is_complete, locked
from exhausters.targets.git import git_dir, git_environment, run_git

# So many exports stay until a newer one takes their place: what is scanned next is often near one of them.
KEPT = 4
# Beyond this a plain export is as good.
_CHANGED_MAX = 3_000


@dataclass(slots=True, kw_only=True)
class Exports:
    """Prepares commits of a history; owns the exports that it made.

    Attributes:
        repository: where they come from.
        places: place of each commit in the history.
        keep: leave all of them in the cache.
    """

    repository: Path
    places: Mapping[str, int]
    keep: bool = False
    _ours: list[str] = field(default_factory=list)

    def prepare(self, target: str, commit: str, on_progress: Progress | None = None) -> PreparedTarget:
        """Return the commit, ready to boot; raises TargetError if it cannot be prepared."""
        folder = _folder(commit)
        if not is_complete(folder):
            near = min(self._ours, key=lambda one: self._distance(one, commit), default=None)
            if near is not None and is_complete(_folder(near)):
                seed(self.repository, commit, near)
            self._ours.append(commit)
        return prepare(target, on_progress=on_progress)

    def let_go(self) -> None:
        """Delete the oldest exports beyond `KEPT`; called when no worker runs."""
        while not self.keep and len(self._ours) > KEPT:
            discard(self._ours.pop(0))

    def close(self) -> None:
        """Delete what is left."""
        while not self.keep and self._ours:
            discard(self._ours.pop())

    def _distance(self, one: str, other: str) -> int:
        return abs(self.places[one] - self.places[other])


def seed(repository: Path, commit: str, near: str) -> None:
    """Export a commit as hard links to the files of another export, and what differs from it.

    Does nothing where they differ by too much.

    Raises:
        TargetError: git cannot read the repository, or the files cannot be written.
    """
    shown = ["diff", "--name-status", "--no-renames", "-z", near, commit, "--", SOURCE_FOLDER]
    parts = run_git(["-C", str(repository), *shown]).split("\0")
    changes = dict(zip(parts[1::2], parts[0::2], strict=False))
    if len(changes) > _CHANGED_MAX:
        return
    written = [path.removeprefix(SOURCE_FOLDER) for path, status in changes.items() if status[:1] != "D"]

    def build(folder: Path) -> None:
        _run(["cp", "-al", f"{_folder(near)}/.", str(folder)])
        (folder / MARKER).unlink()
        for path in changes:
            _remove(folder / path.removeprefix(SOURCE_FOLDER))
        _write_files(repository, commit, written, folder)

    build_once(_folder(commit), build, content={"commit": commit})


def discard(commit: str) -> None:
    """Delete an export."""
    folder = _folder(commit)
    if folder.exists():
        with locked(folder.with_name(f"{folder.name}.lock"), what=folder.name):
            # Without its marker the rest is no export any more, also if this process ends here.
            (folder / MARKER).unlink(missing_ok=True)
            shutil.rmtree(folder, ignore_errors=True)


def _folder(commit: str) -> Path:
    """Where `fetch_commit` exports a commit to."""
    return cache_root() / "commits" / commit


def _remove(path: Path) -> None:
    """Remove a file and its bytecode, whose time stamp might be that of the file which takes its place."""
    path.unlink(missing_ok=True)
    for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
        compiled.unlink()


def _write_files(repository: Path, commit: str, paths: Sequence[str], folder: Path) -> None:
    if not paths:
        return
    found = git_dir(repository)
    # Paths may hold what a pattern would mean.
    git = ["git", "--literal-pathspecs", f"--git-dir={found}", "archive", "--format=tar"]
    packed = _run([*git, f"{commit}:{SOURCE_FOLDER.rstrip('/')}", "--", *paths])
    _run(["tar", "-xf", "-", "-C", str(folder)], packed)


def _run(command: Sequence[str], given: bytes = b"") -> bytes:
    done = subprocess.run(command, env=git_environment(), input=given, capture_output=True, check=False)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()
        raise TargetError(f"`{' '.join(command[:4])} …` failed: {said}")
    return done.stdout
