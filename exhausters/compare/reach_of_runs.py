"""How much of what differs between two builds the runs of a comparison have executed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from exhausters.compare.boot_lines import Lines
from exhausters.compare.sides import Side
from exhausters.compare.sources import Sources
from exhausters.engine.load import source_tree
from exhausters.reach.call_sites import guarded_calls
from exhausters.reach.changed_lines import FileChange, changed_files
from exhausters.reach.reached import Reach, UnreachedLines, measure_reach
from exhausters.sweep.record import RunRecord


class ReachOfRuns:
    """Measures reach again and again while runs are added; what changed is looked up once."""

    def __init__(self, sources: Sources, base: Side, head: Side) -> None:
        self._sources = sources
        self._sides = (base, head)
        # By the files that were looked into: a switch that is tried may import more.
        self._changes: dict[frozenset[str], tuple[FileChange, ...]] = {}
        self._own = source_tree(sources.engine).SCHEDULER_FOLDERS
        self._booted: tuple[Lines, ...] = ({}, {})

    def add_boot(self, lines: tuple[Lines, ...]) -> None:
        """From now on, tell lines apart that base and head execute only while they boot."""
        self._booted = lines

    def measure(self) -> Reach | None:
        """Return the reach of all runs that recorded their lines; None before there is one on either side."""
        reach = self._reach_of([list(side.records.values()) for side in self._sides])
        if reach is None:
            return None
        # The scheduler's own folders first, each in the order of its paths.
        first = sorted(reach.unreached, key=lambda one: not one.file.startswith(self._own))
        return replace(reach, unreached=tuple(first))

    def measure_compared(self) -> Reach | None:
        """The same, where only lines that cells which are compared have executed count as reached."""
        every = self.measure()
        compared = self._reach_of(
            [
                [record for cell, record in side.records.items() if cell not in side.unjudged]
                for side in self._sides
            ]
        )
        if every is None:
            return None
        if compared is None:  # no lines of a run that is compared: nothing is confirmed
            return replace(every, reached=0, only_guards=0, only_tried=every.reached)
        return replace(
            every,
            reached=compared.reached,
            only_guards=compared.only_guards,
            only_tried=every.reached - compared.reached,
        )

    def _reach_of(self, of_sides: Sequence[Sequence[RunRecord]]) -> Reach | None:
        records = [[one for one in side if one.result.executed] for side in of_sides]
        if not all(records):
            return None
        imported = frozenset(file for side in records for file in _imported(side))
        base_executed, head_executed = (_executed(side) for side in records)
        among = self._looked_into(imported)
        reach = measure_reach(
            self._changes_among(among),
            base=self._sources.base,
            head=self._sources.head,
            base_executed=base_executed,
            head_executed=head_executed,
            imported=imported,
            base_booted=self._booted[0],
            head_booted=self._booted[1],
        )
        return replace(reach, other_files=len(self._sources.differing - among))

    def with_guards_of_calls(self, reach: Reach) -> Reach:
        """Return the reach with, after its unreached lines, guards of calls of what nobody called."""
        more: list[UnreachedLines] = []
        for side, name, folder, booted in zip(
            self._sides, ("base", "head"), (self._sources.base, self._sources.head), self._booted, strict=True
        ):
            executed = _executed(side.records.values())
            for file, lines in booted.items():
                executed[file] = executed.get(file, frozenset()) | lines
            missing = [one for one in reach.unreached if one.side == name and self._is_near(one)]
            more += guarded_calls(missing, folder=folder, executed=executed)
        return replace(reach, unreached=(*reach.unreached, *more))

    def may_be_reached(self, reach: Reach) -> bool:
        """Tell whether a cell could reach more: of imported files, or of the scheduler's own folders."""
        return any(self._is_near(one) for one in reach.unreached)

    def _is_near(self, lines: UnreachedLines) -> bool:
        return lines.is_imported or lines.file.startswith(self._own)

    def _looked_into(self, imported: frozenset[str]) -> frozenset[str]:
        """Changed files that a worker imports, and those of the scheduler's folders: a switch may do so.

        Two releases differ in hundreds of files that no worker imports: these are counted, and looked into
        only where nothing else differs.
        """
        differing = self._sources.differing
        own = {file for file in differing if file.startswith(self._own)}
        return (differing & imported) | own or differing

    def _changes_among(self, files: frozenset[str]) -> tuple[FileChange, ...]:
        if files not in self._changes:
            sources = self._sources
            self._changes[files] = changed_files(
                sources.base, sources.head, below=sources.watched, among=files
            )
        return self._changes[files]


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
