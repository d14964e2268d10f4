"""Results as they come, one JSON object per line: an interrupted command goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class Journal:
    """A file of results, each with a key; a line that was cut off by an interruption is dropped."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._found = dict(_read(path))
        if self._found and not path.read_text().endswith("\n"):
            _write_all(path, self._found)

    def __contains__(self, key: str) -> bool:
        return key in self._found

    def add(self, key: str, values: dict[str, Any]) -> None:
        """Keep one result; it is on disk when this returns."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._found[key] = values
        with self._path.open("a") as file:
            file.write(json.dumps({"key": key, **values}) + "\n")

    def values(self) -> list[dict[str, Any]]:
        """Return all results in their order."""
        return list(self._found.values())

    def get(self, key: str) -> dict[str, Any] | None:
        """Return the result with this key."""
        return self._found.get(key)


def _read(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    if not path.exists():
        return
    for line in path.read_text().splitlines():
        try:
            values = json.loads(line)
        except ValueError:
            continue
        yield values.pop("key"), values


def _write_all(path: Path, found: dict[str, dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps({"key": key, **values}) + "\n" for key, values in found.items()))
