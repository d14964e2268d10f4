"""Which lines of the engine's source a run executed, and which of its files the worker has imported."""

from __future__ import annotations

import gzip
import json
import sys
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from exhausters.errors import LogFormatError
from exhausters.observe.executed_lines import LineCounts


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutedSource:
    """What one run executed of a build.

    Attributes:
        lines: numbers of the executed lines in ascending order, by path below the source folder.
        imported: every source file of the build that the worker has imported, likewise, sorted.
    """

    lines: Mapping[str, tuple[int, ...]]
    imported: tuple[str, ...]

    def to_bytes(self) -> bytes:
        """Return it as compressed JSON; equal runs give equal bytes."""
        text = json.dumps(
            {"lines": dict(sorted(self.lines.items())), "imported": self.imported}, separators=(",", ":")
        )
        return gzip.compress(text.encode(), mtime=0)

    @classmethod
    def read(cls, path: Path) -> ExecutedSource:
        """Read a file that holds what `to_bytes` returned.

        Raises:
            LogFormatError: the file is missing, cut off, or holds something else.
        """
        try:
            values = json.loads(gzip.decompress(path.read_bytes()))
            lines = {file: tuple(map(int, numbers)) for file, numbers in values["lines"].items()}
            return cls(lines=lines, imported=tuple(values["imported"]))
        except (OSError, EOFError, zlib.error, ValueError, TypeError, KeyError, AttributeError) as error:
            raise LogFormatError(f"{path}: not the executed lines of a run: {error}") from error


def executed_source(by_file: Mapping[str, LineCounts], *, root: str) -> ExecutedSource:
    """Return what was counted by absolute file name, with paths below `root`; other files are left out."""
    lines = {
        path: tuple(sorted(counts))
        for file, counts in by_file.items()
        if (path := _below(file, root)) is not None
    }
    return ExecutedSource(lines=lines, imported=imported_files(root))


def imported_files(root: str) -> tuple[str, ...]:
    """Return the source files below `root` of all modules that this process has imported, sorted."""
    files: Iterable[object] = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
    paths = (_below(file, root) for file in files if isinstance(file, str))
    return tuple(sorted({path for path in paths if path is not None}))


def _below(file: str, root: str) -> str | None:
    folder = root.rstrip("/") + "/"
    return file.removeprefix(folder) if file.startswith(folder) and file.endswith(".py") else None
