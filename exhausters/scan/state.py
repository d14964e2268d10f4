"""The folder of a scan: what was found so far, so that a later call goes on from there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exhausters.errors import StoreError, UsageError
from exhausters.results_folder import append_synced, folder_held, folder_written, is_foreign, replace_text
from exhausters.scan.imports import ImportedSet
from exhausters.scan.summary import CommitSummary

SCAN, SUMMARIES, IMPORTS, COMMITS = "scan.json", "commits.jsonl", "imports.json", "commits"
_SCHEMA, _LAST = 1, "last"
_AGAIN = "call the same command again"


class ScanFolder:
    """The folder of one scan.

    `scan.json` says what is scanned, and up to which commit; `commits.jsonl` has a line for each commit that
    was tried; `imports.json` what the workers imported; `commits/ID/` the records of each commit, as
    `exhausters sweep` writes them.

    Attributes:
        summaries: what became of each commit that was tried, by id.
        imported: what the workers of all of them have imported.
    """

    def __init__(self, folder: Path, identity: Mapping[str, Any]) -> None:
        self.folder = folder
        _require_same(folder, {"schema": _SCHEMA, **identity})
        _drop_cut_off(folder)
        self.summaries = read_summaries(folder)
        self.imported = ImportedSet(_read_json(folder / IMPORTS))
        self._known_imports = len(self.imported)

    def records_folder(self, commit: str) -> Path:
        """Return where the records of a commit are."""
        return self.folder / COMMITS / commit

    def note_last(self, commit: str) -> None:
        """Note up to which commit this call scans; an earlier one may have had a shorter history."""
        held = _read_json(self.folder / SCAN) or {}
        if held.get(_LAST) != commit:
            with _written(self.folder):
                replace_text(self.folder / SCAN, json.dumps({**held, _LAST: commit}, indent=1) + "\n")

    def note(self, summary: CommitSummary) -> None:
        """Note what became of a commit; on disk when it returns, unless a later call is to try it again."""
        self.summaries[summary.commit] = summary
        if summary.can_pass:
            return
        with _written(self.folder):
            append_synced(
                self.folder / SUMMARIES, json.dumps(summary.to_json(), separators=(",", ":")) + "\n"
            )

    def note_imports(self, imported: ImportedSet) -> None:
        """Note what the workers of a commit have imported."""
        self.imported.update(imported)
        if len(self.imported) != self._known_imports:
            self._known_imports = len(self.imported)
            with _written(self.folder):
                replace_text(self.folder / IMPORTS, json.dumps(self.imported.to_json()))


def read_summaries(folder: Path) -> dict[str, CommitSummary]:
    """Return what a scan noted, by commit; a line that was cut off by an interruption is left out.

    Raises:
        StoreError: a line that no scan wrote.
    """
    path = folder / SUMMARIES
    try:
        lines = path.read_text().split("\n")
    except FileNotFoundError:
        return {}
    found: dict[str, CommitSummary] = {}
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        try:
            summary = CommitSummary.from_json(json.loads(line))
        except (KeyError, TypeError, ValueError) as error:
            if number == len(lines):  # no newline behind it
                continue
            raise StoreError(
                f"{path}:{number}: not what a scan writes ({error}); choose another --out"
            ) from error
        found[summary.commit] = summary
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredScan:
    """A scan's folder as a reader sees it, also while the scan goes on.

    Attributes:
        repository: what was scanned.
        first: the commit before its range.
        last: the last commit of the range, of the latest call; None where an earlier version scanned.
        grid: name of the grid.
        cells: digest of the cells that were chosen of it; None where it is not known.
        summaries: what became of each commit that was tried, by id.
        imported: what the workers imported.
    """

    repository: Path
    first: str
    last: str | None
    grid: str
    cells: str | None
    summaries: Mapping[str, CommitSummary]
    imported: ImportedSet


def read_scan(folder: Path) -> StoredScan:
    """Read the folder of a scan, finished or not; raises StoreError where there is none."""
    values = _read_json(folder / SCAN)
    if values is None or not {"repository", "first", "grid"} <= values.keys():
        raise StoreError(f"{folder}: holds no scan; expected the --out of `exhausters scan`")
    return StoredScan(
        repository=Path(values["repository"]),
        first=values["first"],
        last=values.get(_LAST),
        grid=values["grid"],
        cells=values.get("cells"),
        summaries=read_summaries(folder),
        imported=ImportedSet(_read_json(folder / IMPORTS)),
    )


@contextmanager
def scan_folder(folder: Path, identity: Mapping[str, Any]) -> Iterator[ScanFolder]:
    """Open the folder of a scan, new or begun, for this process alone.

    Args:
        folder: created if missing.
        identity: what is scanned; an earlier call must have scanned the same.

    Raises:
        UsageError: it holds something else, or another scan.
        FolderBusyError: another process scans into it.
        StoreError: its state cannot be read or written.
    """
    if is_foreign(folder, SCAN):
        raise UsageError(f"--out {folder}: expected an empty folder or an earlier scan; choose another")
    with folder_held(folder, holds="scan", then=_AGAIN):
        yield ScanFolder(folder, identity)


def _drop_cut_off(folder: Path) -> None:
    """Drop what a call that was killed left of a line, so that no other line is written behind it."""
    path = folder / SUMMARIES
    with _written(folder):
        if path.exists() and not (text := path.read_text()).endswith("\n"):
            replace_text(path, text[: text.rfind("\n") + 1])


def _require_same(folder: Path, identity: dict[str, Any]) -> None:
    held = _read_json(folder / SCAN)
    if held is None:
        with _written(folder):
            replace_text(folder / SCAN, json.dumps(identity, indent=1) + "\n")
        return
    other = [name for name in identity if held.get(name) != identity[name]]
    if other:
        shown = "; ".join(f"{name}: {held.get(name)!r}, now {identity[name]!r}" for name in other)
        raise UsageError(f"--out {folder}: holds another scan ({shown}); choose another folder")


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        values = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise StoreError(f"{path}: not what a scan writes ({error}); choose another --out") from error
    if not isinstance(values, dict):
        raise StoreError(f"{path}: not what a scan writes; choose another --out")
    return values


def _written(folder: Path) -> AbstractContextManager[None]:
    return folder_written(folder, then=_AGAIN)
