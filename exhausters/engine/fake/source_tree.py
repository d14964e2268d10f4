"""What the source of a fake build says; see `exhausters.engine.load.SourceTree`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

WATCHED = "exhausters/engine/fake"
SCHEDULER_FOLDERS = ("exhausters/engine/fake/",)
NULL_MODELS: Mapping[str, str] = {}


def switches(source_dir: Path) -> Mapping[str, object]:
    """The fake engine has no switches of its own."""
    return {}
