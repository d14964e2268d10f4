"""Grids as data: a TOML file whose axes are multiplied into cells.

    name = "mine"

    [axes]
    workload = ["shared_prefix", "long_context:seed=3"]
    leave_pages = ["all", 64, 16]
    leave_refs = ["all", 0]
    page_size = [16]
    server_args.max_prefill_tokens = [512, 1024]
    env.SGLANG_CLIP_MAX_NEW_TOKENS_ESTIMATION = ["512"]

    [optional]
    workload = ["mooncake:$TRACES/mooncake_conversation.jsonl,scale=1/32"]

Every axis is a list; `"all"` leaves a resource alone. Axes are those of `axis_names()` and free ones (see
`free_axes.py`); what is not given has the default of `EngineSettings`, no pressure, and one-shot taking.
Tables `[[parts]]` have axes too, each set for cells of its own beside those of `[axes]`; the grid is the
cells of all parts. A part may have a `title`, by which tables of results can name it.
Optional workloads join the axis when their trace is there; what is left out is reported. See docs/grids.md.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from exhausters.errors import GridError, UsageError
from exhausters.pressure.level_values import ALL
from exhausters.pressure.levels import PressureLevels
from exhausters.pressure.registry import level_names
from exhausters.sweep.cell import Cell, EngineSettings
from exhausters.sweep.cell_patterns import matching_cells
from exhausters.sweep.free_axes import (
    ENV,
    FREE_TABLES,
    SERVER_ARGS,
    flat_axes,
    is_free_axis,
    require_distinct,
)
from exhausters.workloads import TRACES_VARIABLE, parse_spec, resolve_trace_path

_FOLDER = Path(__file__).with_name("grids")
BUILT_IN = tuple(sorted(path.stem for path in _FOLDER.glob("*.toml")))

_ENGINE_AXES = tuple(field.name for field in fields(EngineSettings) if field.name not in FREE_TABLES)
# What the cells are called that a command has chosen: no grid can be loaded by this name.
CHOSEN_GRID = "chosen"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pool:
    """What a level is a part of."""

    unit: str
    size: Callable[[EngineSettings], int]
    axes: Callable[[EngineSettings], str]


# How many nodes a tree will have nobody knows before the run: `leave_refs` has no bound.
_POOLS = {
    "leave_pages": _Pool(
        unit="pages",
        size=lambda engine: engine.max_total_tokens // engine.page_size,
        axes=lambda engine: f"max_total_tokens={engine.max_total_tokens}, page_size={engine.page_size}",
    ),
    "leave_rows": _Pool(
        unit="rows",
        size=lambda engine: engine.max_running_requests,
        axes=lambda engine: f"max_running_requests={engine.max_running_requests}",
    ),
}


def axis_names() -> tuple[str, ...]:
    """Return the axes that every grid can have, without the free ones, in the order of columns."""
    return ("workload", *level_names(), "held", *_ENGINE_AXES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A named list of cells, in a fixed order.

    Attributes:
        name: what the file calls itself.
        cells: all cells, engine settings outermost so that one boot serves neighbours.
        left_out: optional workloads whose trace is not available, each with the reason.
        titles: of the parts that have one, with the ids of their cells, in the order of the file.
    """

    name: str
    cells: tuple[Cell, ...]
    left_out: tuple[str, ...] = ()
    titles: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def free_axes(self) -> tuple[str, ...]:
        """Names of the free axes, e.g. `server_args.max_prefill_tokens`."""
        return tuple(dict.fromkeys(axis for cell in self.cells for axis in cell.engine.free_axes()))

    @property
    def digest(self) -> str:
        """SHA-256 over all cells with all their settings, in hexadecimal.

        Ids leave out settings at their defaults, so a changed default would not show in them.
        """
        cells = [cell.to_json() for cell in self.cells]
        return hashlib.sha256(json.dumps(cells, sort_keys=True).encode()).hexdigest()

    def select(self, patterns: Sequence[str]) -> Grid:
        """Return the grid with the cells whose id matches a pattern; all of them when there is no pattern.

        Args:
            patterns: as in `matching_cells`.

        Raises:
            GridError: a pattern that no cell matches; names the nearest ids.
        """
        if not patterns:
            return self
        return replace(self, cells=matching_cells(self.cells, patterns))


def load_grid(text: str, *, skip_bad_lines: bool = False) -> Grid:
    """Return a built-in grid by name, or the one in a TOML file.

    Args:
        text: the name or the path.
        skip_bad_lines: let traces skip, and count, lines they cannot read.

    Raises:
        GridError: no such name or file, or a file that makes no sense; names the place.
    """
    path = _FOLDER / f"{text}.toml" if text in BUILT_IN else Path(text)
    try:
        with path.open("rb") as file:
            document = tomllib.load(file)
    except FileNotFoundError:
        near = get_close_matches(text, BUILT_IN, n=1)
        meant = f"; did you mean {near[0]!r}?" if near else ""
        raise GridError(
            f"grid {text!r}: expected one of {', '.join(BUILT_IN)} or a TOML file; there is no such file"
            + meant
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise GridError(f"grid {text!r}: not TOML: {error}") from error
    except OSError as error:
        raise GridError(f"grid {text!r}: {error.strerror}") from error
    return parse_grid(document, source=text, skip_bad_lines=skip_bad_lines)


def parse_grid(document: Mapping[str, Any], *, source: str, skip_bad_lines: bool = False) -> Grid:
    """Turn a parsed TOML document into a grid; raises GridError naming `source` and the axis."""
    parts = _parts(document, source)
    optional = document.get("optional", {})
    if not isinstance(optional, Mapping) or set(optional) - {"workload"}:
        raise GridError(
            f"grid {source!r}: [optional] = {optional!r}: expected a table with a list `workload`"
        )
    try:
        present, left_out = _split_optional(optional.get("workload", []))
        cells: dict[str, Cell] = {}
        titles: dict[str, tuple[str, ...]] = {}
        for title, axes in parts:
            workloads = [_workload_text(text, skip_bad_lines) for text in (*axes["workload"], *present)]
            found = _cells({**axes, "workload": workloads})
            _require_levels_in_pools(found)
            for cell in found:
                cells.setdefault(cell.id, cell)
            if title:
                titles[title] = (*titles.get(title, ()), *(cell.id for cell in found))
        return Grid(
            name=str(document.get("name", source)),
            cells=tuple(cells.values()),
            left_out=tuple(left_out),
            titles=tuple(titles.items()),
        )
    except UsageError as error:
        raise GridError(f"grid {source!r}: {error}") from error


def _parts(document: Mapping[str, Any], source: str) -> list[tuple[str, dict[str, Any]]]:
    """Title and axes of each part, those of `[axes]` included; of a grid without parts, its axes alone."""
    axes, parts = document.get("axes"), document.get("parts", [{}])
    is_list = isinstance(parts, list) and bool(parts) and all(isinstance(one, Mapping) for one in parts)
    if set(document) - {"name", "axes", "optional", "parts"} or not isinstance(axes, Mapping) or not is_list:
        raise GridError(
            f"grid {source!r}: expected `name` and a table [axes], and perhaps tables [[parts]], "
            f"found {sorted(document)}"
        )
    common = _checked_axes(axes, source)
    found = []
    for part in parts:
        title = part.get("title", "")
        if not isinstance(title, str):
            raise GridError(f"grid {source!r}: title = {title!r}: expected a text that names the part")
        own = {axis: values for axis, values in part.items() if axis != "title"}
        found.append((title, {**common, **_checked_axes(own, source)}))
    if not all("workload" in axes for _, axes in found):
        raise GridError(f"grid {source!r}: the axis workload is missing")
    return found


def _checked_axes(axes: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Axes by name, each with a list of values; what the values mean is checked where cells are made."""
    try:
        flat = flat_axes(axes)
        for axis, values in flat.items():
            if axis not in axis_names() and not is_free_axis(axis):
                raise GridError(
                    f"no axis {axis!r}; the axes are {', '.join(axis_names())}, and free ones: "
                    "server_args.NAME for a keyword of SGLang's ServerArgs, env.NAME for a variable"
                )
            if not isinstance(values, list) or not values:
                raise GridError(f"{axis} = {values!r}: expected a list with at least one value")
            if is_free_axis(axis):
                require_distinct(axis, values)
    except GridError as error:
        raise GridError(f"grid {source!r}: {error}") from error
    return flat


def _workload_text(text: object, skip_bad_lines: bool) -> str:
    if not isinstance(text, str):
        raise GridError(f"workload={text!r}: expected a workload as text, e.g. 'shared_prefix:seed=3'")
    spec = parse_spec(text)
    if skip_bad_lines and "path" in spec.arguments:
        spec = replace(spec, arguments={**spec.arguments, "skip_bad_lines": True})
    return spec.text


def _split_optional(workloads: list[Any]) -> tuple[list[str], list[str]]:
    """Return the workloads whose trace is there, and a sentence for each of the others."""
    present: list[str] = []
    left_out: list[str] = []
    for text in workloads:
        path = str(parse_spec(text).arguments["path"])
        try:
            file = resolve_trace_path(path)
        except UsageError as error:
            left_out.append(f"{text}: {error}")
            continue
        if file.is_file():
            present.append(text)
        else:
            left_out.append(f"{text}: there is no {file.name} in the folder given by {TRACES_VARIABLE}")
    return present, left_out


def _cells(axes: Mapping[str, list[Any]]) -> list[Cell]:
    engine_axes = [axis for axis in _ENGINE_AXES if axis in axes] + sorted(filter(is_free_axis, axes))
    other_axes = [axis for axis in ("workload", "held", *level_names()) if axis in axes]
    cells: list[Cell] = []
    seen: set[str] = set()
    for engine_values in itertools.product(*(axes[axis] for axis in engine_axes)):
        engine = _engine(dict(zip(engine_axes, engine_values, strict=True)))
        for values in itertools.product(*(axes[axis] for axis in other_axes)):
            cell = _cell(engine, dict(zip(other_axes, values, strict=True)))
            if cell.id not in seen:
                seen.add(cell.id)
                cells.append(cell)
    return cells


def _require_levels_in_pools(cells: Sequence[Cell]) -> None:
    """Refuse a level above every pool of the grid: it would take nothing, as `"all"` does.

    Beside a smaller pool a level may stand that only a larger one can have, since axes are multiplied.
    """
    largest: dict[tuple[str, int], EngineSettings] = {}
    for cell in cells:
        for name, level in cell.levels.given().items():
            if name in _POOLS:
                known = largest.setdefault((name, level), cell.engine)
                largest[name, level] = max(known, cell.engine, key=_POOLS[name].size)
    for (name, level), engine in largest.items():
        pool = _POOLS[name]
        if level > pool.size(engine):
            raise GridError(
                f"{name}={level}: the pool has {pool.size(engine)} {pool.unit} ({pool.axes(engine)}), so it "
                f'takes nothing; expected at most {pool.size(engine)}, or "{ALL}" to leave it alone'
            )


def _engine(values: Mapping[str, Any]) -> EngineSettings:
    free: dict[str, list[tuple[str, Any]]] = {table: [] for table in FREE_TABLES}
    for axis in filter(is_free_axis, values):
        table, _, name = axis.partition(".")
        free[table].append((name, values[axis]))
    named = {axis: value for axis, value in values.items() if not is_free_axis(axis)}
    return EngineSettings(**named, server_args=tuple(free[SERVER_ARGS]), env=tuple(free[ENV]))


def _cell(engine: EngineSettings, values: Mapping[str, Any]) -> Cell:
    given = {name: values[name] for name in level_names() if values.get(name, ALL) != ALL}
    pressure = PressureLevels(**given, held=values.get("held", False))
    # Nothing taken is the same cell however it would be taken again.
    return Cell(
        workload=values["workload"],
        levels=pressure if pressure.given() else PressureLevels(),
        engine=engine,
    )
