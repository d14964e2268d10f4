"""What a bisection has found so far, in its folder: a later call goes on from there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from exhausters.errors import StoreError, UsageError
from exhausters.results_folder import folder_held, folder_written, is_foreign, replace_text

_STATE, _COMMITS = "bisect.json", "commits"
# What a reader of an error may do: the folder has what was found.
_AGAIN = "call the same command again"
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
        with folder_written(self.folder, then=_AGAIN):
            replace_text(self.folder / _STATE, json.dumps(values, indent=1) + "\n")


@contextmanager
def bisect_folder(folder: Path, identity: Mapping[str, Any]) -> Iterator[BisectFolder]:
    """Open the folder of a bisection, new or begun, for this process alone.

    Args:
        folder: created if missing.
        identity: what is asked; an earlier call must have asked the same.

    Raises:
        UsageError: it holds something else, or another bisection.
        FolderBusyError: another process writes into it.
        StoreError: its state cannot be read or written.
    """
    if is_foreign(folder, _STATE):
        raise UsageError(f"--out {folder}: expected an empty folder or an earlier bisection; choose another")
    with folder_held(folder, holds="bisection", then=_AGAIN):
        yield BisectFolder(folder, identity)
