"""What a bisection has found so far, in its folder: a later call goes on from there."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from exhausters.errors import StoreError, UsageError

_STATE, _LOCK, _COMMITS = "bisect.json", "lock", "commits"
_SCHEMA = 1


class BisectFolder:
    """The folder of one bisection.

    `bisect.json` has the question and what became of commits; `commits/ID/` has the records of each, as
    `exhausters sweep` writes them.

    Attributes:
        skipped: commits that could not be judged, with the reason; those that a later call will try again are
            not in the file.
        booted: commits for which a scheduler was booted, in any call.
    """

    def __init__(self, folder: Path, identity: Mapping[str, Any]) -> None:
        self.folder = folder
        self._identity = {"schema": _SCHEMA, **identity}
        values = self._read()
        self.skipped: dict[str, str] = dict(values.get("skipped", {}))
        self._tried_again = set[str]()
        self.booted: list[str] = list(values.get("booted", []))
        self._write()

    def records_folder(self, commit: str) -> Path:
        """Return where the records of a commit are."""
        return self.folder / _COMMITS / commit

    def note_boot(self, commit: str) -> None:
        """Note that a commit was booted."""
        if commit not in self.booted:
            self.booted.append(commit)
            self._write()

    def note_skip(self, commit: str, reason: str, *, can_pass: bool = False) -> None:
        """Note that a commit cannot be judged; one whose reason can pass is tried again by the next call."""
        self.skipped[commit] = reason
        if can_pass:
            self._tried_again.add(commit)
        self._write()

    def _read(self) -> dict[str, Any]:
        path = self.folder / _STATE
        try:
            values = json.loads(path.read_text())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise StoreError(
                f"{path}: not the state of a bisection ({error}); choose another --out"
            ) from error
        asked = values.get("asked") if isinstance(values, dict) else None
        if asked != self._identity:
            held = asked if isinstance(asked, dict) else {}
            other = [name for name in self._identity if held.get(name) != self._identity[name]]
            shown = "; ".join(f"{name}: {held.get(name)!r}, now {self._identity[name]!r}" for name in other)
            raise UsageError(f"--out {self.folder}: holds another bisection ({shown}); choose another folder")
        return dict(values)

    def _write(self) -> None:
        lasting = {commit: why for commit, why in self.skipped.items() if commit not in self._tried_again}
        values = {"asked": self._identity, "skipped": lasting, "booted": self.booted}
        try:
            scratch = self.folder / f"{_STATE}.tmp"
            scratch.write_text(json.dumps(values, indent=1) + "\n")
            scratch.replace(self.folder / _STATE)
        except OSError as error:
            raise _unwritable(self.folder, error) from error


@contextmanager
def bisect_folder(folder: Path, identity: Mapping[str, Any]) -> Iterator[BisectFolder]:
    """Open the folder of a bisection, new or begun, for this process alone.

    Args:
        folder: created if missing.
        identity: what is asked; an earlier call must have asked the same.

    Raises:
        UsageError: it holds something else, another bisection, or is used by another process.
        StoreError: its state cannot be read or written.
    """
    if folder.exists() and (not folder.is_dir() or (any(folder.iterdir()) and not (folder / _LOCK).exists())):
        raise UsageError(f"--out {folder}: expected an empty folder or an earlier bisection; choose another")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        opened = (folder / _LOCK).open("a")
    except OSError as error:
        raise _unwritable(folder, error) from error
    with opened as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(
                f"--out {folder}: another bisection runs in it; wait for its end or choose another folder"
            ) from None
        yield BisectFolder(folder, identity)


def _unwritable(folder: Path, error: OSError) -> StoreError:
    return StoreError(
        f"--out {folder}: cannot be written ({error.strerror or error}); make room and call the same command "
        "again, or choose another folder"
    )
