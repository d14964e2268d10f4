"""Chooses the cells of a comparison by the map: those that execute what changed, and a few to guard."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from exhausters.compare.known_settings import KnownSettings
from exhausters.compare.sources import Sources
from exhausters.reach.cell_map import CellMap, read_cell_map
from exhausters.reach.changed_functions import ChangedFunctions, changed_functions
from exhausters.reach.changed_lines import changed_files
from exhausters.reach.functions import Function
from exhausters.sweep.cell import Cell, EngineSettings
from exhausters.sweep.grid import CHOSEN_GRID, Grid, load_grid

POOL, GUARD, FALLBACK = "pool", "short", "quick"

# Half of the cells of `quick`: of these the lines are recorded in a quarter, here in every cell.
MAX_CELLS = 24
# Each boots both builds, about ten seconds; the executor keeps workers of four settings of two builds booted.
MAX_ENGINES = 4
BOOT_SECONDS = 10.0
# A cell runs once plain, once counted (three times a plain run) and once with its lines (four times).
_RUNS_PER_CELL = 8
# A change of more lines or files than this, such as a release, touches nearly all that any cell executes.
_MAX_LINES, _MAX_FILES = 400, 30
# Lines at most this far from a changed one are its branch. The others of the function are wanted too, since
# the build of the map may have its branches elsewhere; but less, and less than the function itself.
_NEAR_LINES = 8
_FUNCTION_WEIGHT, _NEAR_WEIGHT = 5, 3
_SHOWN_FUNCTIONS = 3

# What a chosen cell brings: a function without pressure, a function under pressure, a line of it.
_Brings = tuple[Function, str | int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The cells of a comparison.

    Attributes:
        grid: the cells.
        sentence: which were chosen, and why.
        is_by_map: whether the map chose them, so that each is there for the lines that it executes.
    """

    grid: Grid
    sentence: str
    is_by_map: bool


def choose_cells(sources: Sources | None) -> Choice:
    """Return the cells on which two builds are compared when no grid is given.

    Raises:
        ReachMapError: the map that the package brings cannot be read.
    """
    if sources is None or not sources.differing:
        return _fallback("the sources that a scheduler executes are equal, or not known")
    cell_map = read_cell_map()
    among = {file for file in sources.differing if file in cell_map.files or _is_beside(file, cell_map)}
    if len(among) > _MAX_FILES:
        return _fallback(f"a change of {len(among)} files touches too much to choose cells by")
    changes = changed_files(sources.base, sources.head, below=sources.watched, among=among)
    lines = sum(len(one.base_lines) + len(one.head_lines) for one in changes)
    if lines > _MAX_LINES:
        return _fallback(f"a change of {lines:,} lines touches too much to choose cells by")
    known = KnownSettings(sources)
    cells = [cell for cell in load_grid(POOL).cells if cell.id in cell_map.executed and known.has(cell)]
    changed = changed_functions(changes, base=sources.base, head=sources.head)
    return by_map(changed, cell_map=cell_map, pool=cells, guard=load_grid(GUARD).cells)


def by_map(
    changed: ChangedFunctions, *, cell_map: CellMap, pool: Sequence[Cell], guard: Sequence[Cell]
) -> Choice:
    """Return the cells of the pool that execute what changed, cheapest first, and those that guard.

    Args:
        changed: what the change touches.
        cell_map: which cells execute which functions.
        pool: the cells to choose from, all of them in the map.
        guard: cells that are run whatever changed; their boots cost nothing more.
    """
    wanted, subject = _wanted(changed, cell_map)
    brings = {cell: _brings(cell, cell_map.executed[cell.id], wanted) for cell in pool}
    candidates = {cell: found for cell, found in brings.items() if found}
    chosen = _greedy(candidates, wanted, cell_map.seconds, {cell.engine for cell in guard})
    more = [cell for cell in guard if cell not in chosen]
    known = (
        f"{len(candidates)} of {len(pool)} cells of the pool execute {subject}"
        if subject
        else f"no cell of the pool is known to execute {_names(changed.touched) or 'what changed'}"
    )
    wide = "" if subject else " that execute most of the scheduler"
    sentence = f"{known}; chosen {len(chosen)}{wide}, and {len(more)} to guard"
    cells = _in_order((*chosen, *more), (*guard, *pool))
    return Choice(grid=Grid(name=CHOSEN_GRID, cells=tuple(cells)), sentence=sentence, is_by_map=True)


def _fallback(reason: str) -> Choice:
    return Choice(grid=load_grid(FALLBACK), sentence=f"{reason}: the grid `{FALLBACK}`", is_by_map=False)


def _is_beside(file: str, cell_map: CellMap) -> bool:
    """Whether a file that the map lacks, a new one perhaps, is in a folder with one that cells execute."""
    return file.rpartition("/")[0] in {known.rpartition("/")[0] for known in cell_map.files}


def _wanted(changed: ChangedFunctions, cell_map: CellMap) -> tuple[dict[Function, frozenset[int]], str]:
    """Functions to be executed, each with the lines near the change, and how to call them in a sentence.

    Of functions that are not in the map, all others of their files are wanted. The text is empty when nothing
    is known of those either: then everything is wanted, and what is chosen is the widest look that the bounds
    allow.
    """
    touched = {
        function: frozenset(
            near for line in lines for near in range(line - _NEAR_LINES, line + _NEAR_LINES + 1)
        )
        for function, lines in changed.touched.items()
        if function in cell_map.functions
    }
    calling = {one: frozenset[int]() for one in changed.callers & cell_map.functions}
    if touched:
        return {**calling, **touched}, _names(touched)
    if calling:
        return calling, f"{_names(calling)}, which call what is new"
    beside = {one: frozenset[int]() for one in cell_map.functions if one.file in changed.files}
    if beside:
        return beside, f"other functions of `{'`, `'.join(sorted({one.file for one in beside}))}`"
    return {one: frozenset[int]() for one in cell_map.functions}, ""


def _brings(
    cell: Cell, executed: Mapping[Function, frozenset[int]], wanted: Mapping[Function, frozenset[int]]
) -> frozenset[_Brings]:
    kind = "under pressure" if cell.levels.given() else "without pressure"
    found: set[_Brings] = set()
    for function in wanted:
        if function in executed:
            found.add((function, kind))
            found.update((function, line) for line in executed[function])
    return frozenset(found)


def _weight(one: _Brings, wanted: Mapping[Function, frozenset[int]]) -> int:
    function, what = one
    if isinstance(what, str):
        return _FUNCTION_WEIGHT
    return _NEAR_WEIGHT if what in wanted[function] else 1


def _greedy(
    candidates: Mapping[Cell, frozenset[_Brings]],
    wanted: Mapping[Function, frozenset[int]],
    seconds: Mapping[str, float],
    booted: set[EngineSettings],
) -> list[Cell]:
    """The cell that brings most for its time, again and again, until none brings anything or it is enough."""
    engines, chosen = set(booted), list[Cell]()
    missing: set[_Brings] = set().union(*candidates.values())

    def worth(cell: Cell) -> float:
        boot = 0.0 if cell.engine in engines else BOOT_SECONDS
        gain = sum(_weight(one, wanted) for one in candidates[cell] & missing)
        return gain / (_RUNS_PER_CELL * seconds[cell.id] + boot)

    while missing and len(chosen) < MAX_CELLS:
        open_to_all = len(engines) < MAX_ENGINES
        offered = [cell for cell in candidates if open_to_all or cell.engine in engines]
        best = max(offered, key=worth, default=None)
        if best is None or not candidates[best] & missing:
            break
        chosen.append(best)
        engines.add(best.engine)
        missing -= candidates[best]
    return chosen


def _names(functions: Iterable[Function]) -> str:
    names = [f"`{one}`" for one in sorted(functions)]
    more = len(names) - _SHOWN_FUNCTIONS
    shown = ", ".join(names[:_SHOWN_FUNCTIONS])
    return f"{shown} or {more} more changed functions" if more > 0 else shown


def _in_order(chosen: Iterable[Cell], known: Sequence[Cell]) -> list[Cell]:
    """Cells of one engine setting stay neighbours, so that one boot serves them."""
    engines = {engine: number for number, engine in enumerate(dict.fromkeys(cell.engine for cell in known))}
    places = {cell: number for number, cell in enumerate(dict.fromkeys(known))}
    return sorted(chosen, key=lambda cell: (engines[cell.engine], places[cell]))
