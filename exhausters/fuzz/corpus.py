"""Scripts that once broke a promise: a folder of JSON files, replayed before anything is drawn."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from exhausters.errors import FuzzScriptError
from exhausters.fuzz.cases import Case
from exhausters.results_folder import replace_text


def read_corpus(folder: Path) -> list[Case]:
    """Return the cases of all `*.json` files of a folder, in the order of their names.

    Raises:
        FuzzScriptError: there is no such folder, or a file of it makes no sense; names it.
    """
    if not folder.is_dir():
        raise FuzzScriptError(f"corpus {folder}: expected a folder of JSON files; there is none")
    return [read_case(path) for path in sorted(folder.glob("*.json"))]


def read_case(path: Path) -> Case:
    """Return the case of one file; raises FuzzScriptError."""
    try:
        values = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise FuzzScriptError(f"{path}: not a JSON file: {error}") from error
    return Case.from_json(values, origin=path.name)


def write_case(path: Path, case: Case, **about: Any) -> None:
    """Write a case, with what is known about it beside; created with its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    document: Mapping[str, Any] = {**about, **case.to_json()}
    replace_text(path, json.dumps(document, indent=1) + "\n")
