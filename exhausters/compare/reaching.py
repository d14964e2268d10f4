"""How much of a change the runs reach, and what is tried for lines that none of them has executed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from exhausters.compare.boot_lines import boot_lines
from exhausters.compare.choose import POOL
from exhausters.compare.chosen_cells import covering_cells
from exhausters.compare.known_settings import KnownSettings
from exhausters.compare.reach_of_runs import ReachOfRuns
from exhausters.compare.runs import Runs
from exhausters.compare.search import mutate
from exhausters.compare.sides import difference, has_run
from exhausters.compare.sources import Sources
from exhausters.compare.switches import Switch, find_switches
from exhausters.engine.load import source_tree
from exhausters.reach.functions import lines_by_function
from exhausters.reach.reached import Reach, UnreachedLines
from exhausters.reach.source_text import read_source
from exhausters.sweep.cell import Cell
from exhausters.sweep.grid import load_grid
from exhausters.sweep.record import DRAINED, FAILURES, UNSUPPORTED
from exhausters.sweep.run_options import COUNTED, DECIDE, LINES, DrainLimits

# Each boots both builds again, which takes about ten seconds.
MAX_SWITCHES = 6
# Each runs one cell with its lines on both builds, some seconds; one of them boots both builds again.
MAX_MUTATIONS = 5
# Ten times the steps of most cells. Pressure by chance can make a scheduler retract for ever without a stall.
_MAX_MUTATION_STEPS = 2_000
# A change of more lines than this, such as a release, names too many switches to try any.
_MAX_LINES_TO_TRY = 400

_WHOLE_FILE = ""
_SeenLines = frozenset[tuple[str, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReachOptions:
    """How far to go for lines that no run reached.

    Attributes:
        runs_every_cell: record lines in every cell; by default in two per workload and engine settings.
        max_switches: further cells, at most, one per switch that the change names.
        max_mutations: further cells, at most, by mutation of the one that came nearest.
        seed: of the mutations; equal seeds try the same cells.
    """

    runs_every_cell: bool = False
    max_switches: int = MAX_SWITCHES
    max_mutations: int = MAX_MUTATIONS
    seed: int = 0


class Reaching:
    """Measures reach and tries to reach more.

    Attributes:
        tried: what was tried, and what it brought, a sentence each.
    """

    def __init__(self, runs: Runs, sources: Sources, options: ReachOptions) -> None:
        self.tried: list[str] = []
        self._runs = runs
        self._sources = sources
        self._options = options
        self._measured = ReachOfRuns(sources, *runs.sides)
        self._known = KnownSettings(sources)

    def run(self) -> Reach | None:
        """Record lines, try more where lines are missing; None when no lines could be recorded."""
        if not self._sources.differing:
            self._runs.progress.note(f"reach: the sources below {self._sources.watched} are equal")
            return Reach(changed=0, reached=0, unreached=())
        all_cells = self._runs.grid.cells
        cells = all_cells if self._options.runs_every_cell else covering_cells(all_cells)
        cells = tuple(cell for cell in cells if self._runs.has_run(cell))
        if not cells:
            return None
        with self._runs.stage("reach") as said:
            self._runs.run(cells, LINES)
            reach = self._measured.measure()
            said.append(f"{reach}" if reach is not None else "no lines were recorded")
        if reach is None:
            return None
        if self._measured.may_be_reached(reach):
            self._try_more(reach, cells)
            reach = self._measured.measure_compared() or reach
        return reach

    def _try_more(self, reach: Reach, cells: Sequence[Cell]) -> Reach:
        if reach.changed > _MAX_LINES_TO_TRY:
            self.tried.append(f"nothing: a change of {reach.changed:,} lines names too many switches")
            return reach
        reach = self._record_boot(reach, cells)
        if self._measured.may_be_reached(reach):
            reach = self._try_switches(reach, cells)
        return self._search(reach, cells) if _missing(reach) else reach

    def _record_boot(self, reach: Reach, cells: Sequence[Cell]) -> Reach:
        """Tell lines apart that run only while a scheduler boots: no cell can reach them."""
        with self._runs.stage("boot") as said:
            # The settings of most cells: others may take another branch before the change.
            engine = cells[0].engine
            self._measured.add_boot(boot_lines([side.target for side in self._runs.sides], engine))
            after = self._measured.measure() or reach
            said.append(f"{_lines(after.boot_only, '')} of what changed run only while booting")
        return after

    def _try_switches(self, reach: Reach, cells: Sequence[Cell]) -> Reach:
        """Run further cells, one per switch, until all is reached or enough was tried."""
        near, tried, idle = list(cells), set[str](), set[str]()
        while self._measured.may_be_reached(reach):
            # Anew after each: what one switch lets run may wait for another one beside it.
            open_pairs = [
                (switch, cell)
                for switch, cell in self._cells_to_try(reach, near)
                if str(switch) not in tried
                and switch.family not in idle
                and cell.id not in self._runs.head.records
            ]
            if len(tried) == self._options.max_switches and open_pairs:
                self.tried.append(f"{len(open_pairs)} more switches that the diff names were not tried")
            if len(tried) == self._options.max_switches or not open_pairs:
                break
            switch, cell = open_pairs[0]
            tried.add(str(switch))
            before, reach = reach, self._try_switch(switch, cell, reach)
            if switch.family and reach.reached == before.reached:
                # Each costs two boots, and its like brings no more.
                idle.add(switch.family)
                self.tried.append(f"no other variables {switch.family}_…, since that one brought nothing")
            if has_run(self._runs.head.records.get(cell.id)):
                near.append(cell)
        return reach

    def _cells_to_try(self, reach: Reach, near: Sequence[Cell]) -> Iterator[tuple[Switch, Cell]]:
        sources = self._sources
        tree = source_tree(sources.engine)
        switches = find_switches(
            self._measured.with_guards_of_calls(reach),
            base=sources.base,
            head=sources.head,
            defaults=tree.switches(sources.head),
            models=tree.NULL_MODELS,
        )
        pool = load_grid(POOL).cells
        for switch in switches:
            cell = self._cell_with(switch, pool, near)
            if cell is not None:
                yield switch, cell

    def _cell_with(self, switch: Switch, pool: Sequence[Cell], cells: Sequence[Cell]) -> Cell | None:
        near = self._cell_near(switch.unreached, cells)
        found = switch.beside(pool, near=near)
        is_new = found is not None and found.id not in self._runs.head.records
        return found if is_new else switch.applied_to(near)

    def _try_switch(self, switch: Switch, cell: Cell, reach: Reach) -> Reach:
        with self._runs.stage(f"tried {switch}") as said:
            self._runs.try_cell(cell)
            self._runs.run([cell], LINES)
            after = self._measured.measure() or reach
            more = after.reached - reach.reached
            is_known = self._known.has(cell)
            lacks = "" if is_known else "; one build lacks a setting of its cell, which is not judged"
            said.append(self._what_it_brought(cell, more) + lacks)
            self.tried.append(f"{switch}: {said[0]}")
            if is_known and (more or self._runs.difference(cell)):
                self._judge_found(cell)
        return after

    def _search(self, reach: Reach, cells: Sequence[Cell]) -> Reach:
        """Mutate the cell that came nearest; one that executes more of the function is the next start."""
        # The same place for the whole search: the first that is missing, of those in functions.
        place = _missing(reach)[0]
        start = self._cell_near(place, cells)
        draw = Random(self._options.seed)  # noqa: S311  repeatable, and no secret
        made, seen = 0, self._seen_near(place, cells)
        kept, shown = 0, list[str]()
        with self._runs.stage(f"search near `{place.file}:{place.first_line}`") as said:
            for number in range(self._options.max_mutations):
                mutation = mutate(start, draw, number=number)
                if mutation is None or mutation.cell.id in self._runs.head.records:
                    continue
                cell, made = mutation.cell, made + 1
                self._runs.try_cell(cell)
                self._runs.run([cell], LINES, limits=DrainLimits(max_steps=_MAX_MUTATION_STEPS))
                after = self._measured.measure() or reach
                more = after.reached - reach.reached
                found = self._seen_near(place, [cell]) - seen
                shown.append(f"{mutation}{f' (+{more})' if more else ''}{self._failures(cell)}")
                self._runs.progress.note(f"tried {shown[-1]}")
                if found and self._runs.has_run(cell):
                    start, kept, seen = cell, kept + 1, seen | found
                if more or self._runs.difference(cell):
                    self._judge_found(cell)
                reach = after
                if not _missing(reach):
                    break
            said.append(
                f"{made} mutations of `{self._cell_near(place, cells).id}` (seed {self._options.seed}), "
                f"{kept} came nearer: {'; '.join(shown)}"
            )
            self.tried.append(f"search: {said[0]}; {_lines(reach.reached, 'changed ')} reached in all")
        return reach

    def _judge_found(self, cell: Cell) -> None:
        """Let a tried cell join those that are compared, run again with the limits of every run.

        Not where a build cannot run it, or neither could end it: that says nothing of the change.
        """
        outcomes = [side.records[cell.id].result.outcome for side in self._runs.sides]
        if UNSUPPORTED in outcomes or all(outcome in FAILURES for outcome in outcomes):
            return
        self._runs.judge(cell)
        self._runs.run([cell], DECIDE)
        if self._runs.has_run(cell):
            self._runs.run([cell], COUNTED)

    def _seen_near(self, place: UnreachedLines, cells: Sequence[Cell]) -> _SeenLines:
        """Lines that cells have executed in the function of a place, with its name, and in the whole file."""
        is_head = place.side == "head"
        side = self._runs.head if is_head else self._runs.base
        folder = self._sources.head if is_head else self._sources.base
        lines: set[int] = set()
        for cell in cells:
            record = side.records.get(cell.id)
            if record is not None and record.result.executed is not None:
                lines.update(record.result.executed.lines.get(place.file, ()))
        text = read_source(folder / place.file)
        wanted = lines_by_function(place.file, text, [place.first_line]).keys()
        own = lines_by_function(place.file, text, lines)
        inside = {(one.name, line) for one in wanted for line in own.get(one, ())}
        return frozenset(inside | {(_WHOLE_FILE, line) for line in lines})

    def _what_it_brought(self, cell: Cell, more: int) -> str:
        records = [side.records[cell.id] for side in self._runs.sides]
        decided = "" if difference(*records) == "" else ", and both builds decide differently there"
        reached = _lines(more, "more ") if more else "nothing more"
        return f"reached {reached}{decided}{self._failures(cell)}"

    def _failures(self, cell: Cell) -> str:
        """How the runs of a cell ended that did not drain, in brackets; empty if all did."""
        ended = [
            f"{name}: {result.outcome}: {result.reason}"
            for name, side in zip(("base", "head"), self._runs.sides, strict=True)
            if (result := side.records[cell.id].result).outcome != DRAINED
        ]
        return f" ({'; '.join(ended)})" if ended else ""

    def _cell_near(self, place: UnreachedLines, cells: Sequence[Cell]) -> Cell:
        """The cell that executed most of the function, or of the file; of equals the last, under pressure.

        Where none executed any of it, one with the engine settings of the first.
        """

        def nearness(cell: Cell) -> tuple[int, int, bool]:
            seen = self._seen_near(place, [cell])
            inside = sum(name != _WHOLE_FILE for name, _ in seen)
            return inside, len(seen) - inside, cell.engine == cells[0].engine

        return max(reversed(cells), key=nearness)


def _missing(reach: Reach) -> list[UnreachedLines]:
    """What no run executed although the worker imports it."""
    return [one for one in reach.unreached if one.is_imported]


def _lines(count: int, kind: str) -> str:
    return f"1 {kind}line" if count == 1 else f"{count} {kind}lines"
