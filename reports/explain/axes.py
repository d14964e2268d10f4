"""The axes along which the cells of a comparison differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from exhausters.pressure import ALL, level_names
from exhausters.sweep.free_axes import is_free_axis
from reports.vocabulary import OUTCOME

# A free axis that a cell does not have: SGLang's own default.
_DEFAULT = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One axis that has at least two values.

    Attributes:
        name: its name.
        labels: its values as text, ascending where they have an order.
        codes: index into `labels`, one per cell.
        is_ordered: whether `<=` means something.
    """

    name: str
    labels: tuple[str, ...]
    codes: NDArray[np.int64]
    is_ordered: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AxisTable:
    """Cells and their varying axes."""

    cells: tuple[str, ...]
    axes: tuple[Axis, ...]

    def as_text(self) -> pd.DataFrame:
        """Return one row per cell and one column per axis, as text."""
        columns = {axis.name: np.array(axis.labels, dtype=object)[axis.codes] for axis in self.axes}
        return pd.DataFrame(columns, index=pd.Index(self.cells, name="cell"))


def axis_table(frames: Sequence[pd.DataFrame], axes: Sequence[str]) -> AxisTable:
    """Return the table of all cells of some frames, in order of first appearance."""
    columns = ["cell", *axes]
    parts = [
        frame.loc[frame["metric"] == OUTCOME].reindex(columns=columns).drop_duplicates("cell")
        for frame in frames
    ]
    rows = pd.concat([part.astype(object) for part in parts], ignore_index=True).drop_duplicates("cell")
    found = []
    for name in axes:
        values = [
            None if value is pd.NA or value is None or value != value else value for value in rows[name]
        ]
        axis = _axis(name, values)
        if len(axis.labels) > 1:
            found.append(axis)
    return AxisTable(cells=tuple(map(str, rows["cell"])), axes=tuple(found))


def _axis(name: str, values: Sequence[object]) -> Axis:
    known = {value for value in values if value is not None}
    numbers = {value for value in known if isinstance(value, int | float) and not isinstance(value, bool)}
    is_ordered = bool(known) and numbers == known
    ordered = sorted(known, key=float) if is_ordered else sorted(known, key=str)  # type: ignore[arg-type]
    labels = [_label(value) for value in ordered]
    index: dict[object, int] = {value: position for position, value in enumerate(ordered)}
    if None in values:
        index[None] = len(labels)
        labels.append(_unset(name))
    codes = np.array([index[value] for value in values], dtype=np.int64)
    return Axis(name=name, labels=tuple(labels), codes=codes, is_ordered=is_ordered)


def _unset(name: str) -> str:
    # A level that is not set leaves all there is: more than any number.
    if name in level_names():
        return ALL
    return _DEFAULT if is_free_axis(name) else "none"


def _label(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
