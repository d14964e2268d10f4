"""Which cells execute which functions, measured once on one build and kept as data.

The file says, for lines of a function that the same cells execute, which cells these are; each set of cells
is stored once, as a number whose bits are cells. Lines are counted from the `def` of their function, so that
a change elsewhere in a file does not move them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from exhausters.errors import ReachMapError
from exhausters.reach.functions import Function, OwnLines, lines_of_text, ranges_text

# Raise when the fields of the file change their meaning.
_FORMAT = 1
#: The map that the package brings; `make reach-map` measures it again.
STOCK_MAP = Path(__file__).with_name("cell_map.json")


@dataclass(frozen=True, kw_only=True)
class CellMap:
    """What each cell of some grids executes.

    Attributes:
        build: the target on which it was measured.
        measured: the day, as in ISO 8601.
        grids: digests of the grids whose cells these are, by name.
        seconds: scheduler CPU time of a plain run, by the id of the cell.
        executed: for each cell id, the functions that it executes, each with those of its lines.
    """

    build: str
    measured: str
    grids: Mapping[str, str]
    seconds: Mapping[str, float]
    executed: Mapping[str, Mapping[Function, OwnLines]]

    @cached_property
    def functions(self) -> frozenset[Function]:
        """Every function that some cell executes."""
        return frozenset(function for found in self.executed.values() for function in found)

    @cached_property
    def files(self) -> frozenset[str]:
        """Every file of which some cell executes a function."""
        return frozenset(function.file for function in self.functions)

    def cells_executing(self, function: Function) -> tuple[str, ...]:
        """Return the ids of the cells that execute a function, in the order of the map."""
        return tuple(cell for cell, found in self.executed.items() if function in found)

    def to_text(self) -> str:
        """Return the content of the file; equal maps give equal text, a line per function's lines."""
        numbers = {cell: number for number, cell in enumerate(self.executed)}
        cells_of: dict[tuple[Function, int], int] = {}
        for cell, found in self.executed.items():
            for function, lines in found.items():
                for line in lines:
                    cells_of[function, line] = cells_of.get((function, line), 0) | 1 << numbers[cell]
        grouped: dict[tuple[Function, int], list[int]] = {}
        for (function, line), cells in sorted(cells_of.items()):
            grouped.setdefault((function, cells), []).append(line)
        files = {file: number for number, file in enumerate(sorted(self.files))}
        sets = {cells: number for number, cells in enumerate(dict.fromkeys(cells for _, cells in grouped))}
        document = {
            "format": _FORMAT,
            "build": self.build,
            "measured": self.measured,
            "grids": dict(self.grids),
            "cells": [[cell, round(self.seconds[cell], 3)] for cell in self.executed],
            "files": list(files),
            "sets": [f"{cells:x}" for cells in sets],
            "lines": [
                [files[function.file], function.name, ranges_text(lines), sets[cells]]
                for (function, cells), lines in grouped.items()
            ],
        }
        return _document_text(document)


def read_cell_map(path: Path = STOCK_MAP) -> CellMap:
    """Read a file that holds what `CellMap.to_text` returned.

    Raises:
        ReachMapError: the file is missing, cut off, of another format, or holds something else.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values["format"] != _FORMAT:
            raise ReachMapError(
                f"{path}: format {values['format']!r}, this harness reads {_FORMAT}; measure it again with "
                "`exhausters reach-map`"
            )
        cells = [cell for cell, _ in values["cells"]]
        sets = [_cells_of(int(text, 16), cells) for text in values["sets"]]
        executed: dict[str, dict[Function, set[int]]] = {cell: {} for cell in cells}
        for file, name, lines, cell_set in values["lines"]:
            function, numbers = Function(values["files"][file], name), set(lines_of_text(lines))
            for cell in sets[cell_set]:
                executed[cell].setdefault(function, set()).update(numbers)
        return CellMap(
            build=values["build"],
            measured=values["measured"],
            grids=dict(values["grids"]),
            seconds={cell: float(seconds) for cell, seconds in values["cells"]},
            executed={
                cell: {function: frozenset(lines) for function, lines in found.items()}
                for cell, found in executed.items()
            },
        )
    except (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise ReachMapError(
            f"{path}: not a map from cells to functions ({type(error).__name__}: {error}); measure one with "
            "`exhausters reach-map`"
        ) from error


def _cells_of(bits: int, cells: list[str]) -> list[str]:
    if bits >> len(cells):
        raise ValueError(f"a set names cell {bits.bit_length() - 1} of {len(cells)}")
    return [cell for number, cell in enumerate(cells) if bits >> number & 1]


def _document_text(document: Mapping[str, object]) -> str:
    """JSON with a line per entry of its lists, so that a newer map can be read as a difference."""
    parts = []
    for name, value in document.items():
        if isinstance(value, list):
            entries = ",\n".join(json.dumps(one, separators=(",", ":")) for one in value)
            parts.append(f"{json.dumps(name)}:[\n{entries}\n]")
        else:
            parts.append(f"{json.dumps(name)}:{json.dumps(value, separators=(',', ':'))}")
    return "{" + ",\n".join(parts) + "}\n"
