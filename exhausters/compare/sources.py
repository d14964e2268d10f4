"""The sources of the two builds that are compared."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from exhausters.engine.load import source_tree
from exhausters.reach.changed_lines import differing_files
from exhausters.targets import PreparedTarget


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """The sources of both builds.

    Attributes:
        base, head: the folders that contain the engine's package.
        watched: the folder below them that holds what a scheduler executes.
        engine: the name of the engine that head is a build of.
        differing: files below `watched` that are not the same on both sides.
    """

    base: Path
    head: Path
    watched: str
    engine: str
    differing: frozenset[str]


def sources_of(base: PreparedTarget, head: PreparedTarget) -> Sources | None:
    """Return the sources of both builds; None where a build has none that could be read."""
    folders = [target.source_dirs[0] for target in (base, head) if target.source_dirs]
    if len(folders) != 2:
        return None
    watched = source_tree(head.engine).WATCHED
    differing = differing_files(folders[0], folders[1], below=watched)
    return Sources(base=folders[0], head=folders[1], watched=watched, engine=head.engine, differing=differing)
