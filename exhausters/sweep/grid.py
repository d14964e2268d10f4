"""Grids as data: a TOML file whose axes are multiplied into cells.

    name = "mine"

    [axes]
    workload = ["shared_prefix", "long_context:seed=3"]
    leave_pages = ["all", 64, 16]
    leave_refs = ["all", 0]
    page_size = [16]

Every axis is a list; `"all"` leaves a resource alone. Axes are those of `AXES`; what is not given has the
default of `EngineSettings`, no pressure, and one-shot taking.
"""

from __future__ import annotations

import hashlib
import itertools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from exhausters.errors import GridError, UsageError
from exhausters.pressure.levels import PressureLevels
from exhausters.sweep.cell import Cell, EngineSettings
from exhausters.workloads import parse_spec

_FOLDER = Path(__file__).with_name("grids")
BUILT_IN = tuple(sorted(path.stem for path in _FOLDER.glob("*.toml")))

_LEVEL_AXES = ("leave_pages", "leave_refs", "leave_rows")
_ENGINE_AXES = tuple(field.name for field in fields(EngineSettings))
AXES = ("workload", *_LEVEL_AXES, "held", *_ENGINE_AXES)
_UNTOUCHED = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A named list of cells, in a fixed order.

    Attributes:
        name: what the file calls itself.
        cells: all cells, engine settings outermost so that one boot serves neighbours.
    """

    name: str
    cells: tuple[Cell, ...]

    @property
    def digest(self) -> str:
        """SHA-256 over the ids of all cells, in hexadecimal."""
        return hashlib.sha256("\n".join(cell.id for cell in self.cells).encode()).hexdigest()


def load_grid(text: str) -> Grid:
    """Return a built-in grid by name, or the one in a TOML file.

    Raises:
        GridError: no such name or file, or a file that makes no sense; names the place.
    """
    path = _FOLDER / f"{text}.toml" if text in BUILT_IN else Path(text)
    try:
        with path.open("rb") as file:
            document = tomllib.load(file)
    except FileNotFoundError:
        raise GridError(
            f"grid {text!r}: expected one of {', '.join(BUILT_IN)} or a TOML file; there is no such file"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise GridError(f"grid {text!r}: not TOML: {error}") from error
    except OSError as error:
        raise GridError(f"grid {text!r}: {error.strerror}") from error
    return parse_grid(document, source=text)


def parse_grid(document: Mapping[str, Any], *, source: str) -> Grid:
    """Turn a parsed TOML document into a grid; raises GridError naming `source` and the axis."""
    unknown = set(document) - {"name", "axes"}
    axes = document.get("axes")
    if unknown or not isinstance(axes, Mapping):
        raise GridError(f"grid {source!r}: expected `name` and a table [axes], found {sorted(document)}")
    for axis, values in axes.items():
        if axis not in AXES:
            raise GridError(f"grid {source!r}: no axis {axis!r}; the axes are {', '.join(AXES)}")
        if not isinstance(values, list) or not values:
            raise GridError(f"grid {source!r}: {axis} = {values!r}: expected a list with at least one value")
    if "workload" not in axes:
        raise GridError(f"grid {source!r}: the axis workload is missing")
    try:
        return Grid(name=str(document.get("name", source)), cells=tuple(_cells(axes)))
    except UsageError as error:
        raise GridError(f"grid {source!r}: {error}") from error


def _cells(axes: Mapping[str, list[Any]]) -> list[Cell]:
    engine_axes = [axis for axis in _ENGINE_AXES if axis in axes]
    other_axes = [axis for axis in ("workload", "held", *_LEVEL_AXES) if axis in axes]
    cells: list[Cell] = []
    seen: set[str] = set()
    for engine_values in itertools.product(*(axes[axis] for axis in engine_axes)):
        engine = EngineSettings(**dict(zip(engine_axes, engine_values, strict=True)))
        for values in itertools.product(*(axes[axis] for axis in other_axes)):
            cell = _cell(engine, dict(zip(other_axes, values, strict=True)))
            if cell.id not in seen:
                seen.add(cell.id)
                cells.append(cell)
    return cells


def _cell(engine: EngineSettings, values: dict[str, Any]) -> Cell:
    levels = {
        axis: None if values.get(axis, _UNTOUCHED) == _UNTOUCHED else values[axis] for axis in _LEVEL_AXES
    }
    # Nothing taken is the same cell however it would be taken again.
    held = bool(values.get("held", False)) and any(level is not None for level in levels.values())
    return Cell(
        workload=parse_spec(values["workload"]).text,
        levels=PressureLevels(**levels, held=held),
        engine=engine,
    )
