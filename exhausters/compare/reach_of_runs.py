"""How much of what differs between two builds the runs of a comparison have executed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from exhausters.compare.sides import Side
from exhausters.engine.load import source_tree
from exhausters.reach.changed_lines import FileChange, changed_files, differing_files
from exhausters.reach.reached import Reach, measure_reach
from exhausters.sweep.record import RunRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """The sources of both builds.

    Attributes:
        base, head: the folders that contain the engine's package.
        watched: the folder below them that holds what a scheduler executes.
        differing: files below it that are not the same on both sides.
    """

    base: Path
    head: Path
    watched: str
    differing: frozenset[str]


def sources_of(base: Side, head: Side) -> Sources | None:
    """Return the sources of both builds; None where a build has none that could be read."""
    folders = [side.target.source_dirs[0] for side in (base, head) if side.target.source_dirs]
    if len(folders) != 2:
        return None
    watched = source_tree(head.target.engine).WATCHED
    differing = differing_files(folders[0], folders[1], below=watched)
    return Sources(base=folders[0], head=folders[1], watched=watched, differing=differing)


class ReachOfRuns:
    """Measures reach again and again while runs are added; what changed is looked up once."""

    def __init__(self, sources: Sources, base: Side, head: Side) -> None:
        self._sources = sources
        self._sides = (base, head)
        self._changes: tuple[FileChange, ...] | None = None

    def measure(self) -> Reach | None:
        """Return the reach of all runs that recorded their lines; None before there is one on either side."""
        records = [[one for one in side.records.values() if one.result.executed] for side in self._sides]
        if not all(records):
            return None
        imported = frozenset(file for side in records for file in _imported(side))
        base_executed, head_executed = (_executed(side) for side in records)
        return measure_reach(
            self._changes_among(imported),
            base=self._sources.base,
            head=self._sources.head,
            base_executed=base_executed,
            head_executed=head_executed,
            imported=imported,
        )

    def _changes_among(self, imported: frozenset[str]) -> tuple[FileChange, ...]:
        if self._changes is None:
            # Two releases differ in hundreds of files that no worker imports: they are not looked into,
            # except where nothing else differs.
            differing = self._sources.differing
            self._changes = changed_files(
                self._sources.base,
                self._sources.head,
                below=self._sources.watched,
                among=(differing & imported) or differing,
            )
        return self._changes


def _imported(records: Iterable[RunRecord]) -> Iterable[str]:
    for record in records:
        if record.result.executed is not None:
            yield from record.result.executed.imported


def _executed(records: Iterable[RunRecord]) -> dict[str, frozenset[int]]:
    lines: dict[str, set[int]] = {}
    for record in records:
        if record.result.executed is not None:
            for file, numbers in record.result.executed.lines.items():
                lines.setdefault(file, set()).update(numbers)
    return {file: frozenset(numbers) for file, numbers in lines.items()}
