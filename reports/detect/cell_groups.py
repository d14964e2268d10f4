"""Which workload a cell runs, with which engine settings, under how much pressure, in words."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from itertools import combinations

import pandas as pd

from exhausters.pressure import level_names
from exhausters.sweep.cell import EngineSettings
from exhausters.sweep.free_axes import FREE_TABLES, is_free_axis
from reports.vocabulary import OUTCOME

# No level is given; everything between; at the smallest value of some level.
NO, MIDDLE, TIGHT = "no", "middle", "tight"
PRESSURES = (NO, MIDDLE, TIGHT)
# What is told first of settings that several axes tell apart.
_MODEL = "model"
# The group of cells that name no workload (asv suites of other projects).
NO_WORKLOAD = "all cells"
_DEFAULTS: Mapping[str, object] = {
    one.name: getattr(EngineSettings(), one.name)
    for one in fields(EngineSettings)
    if one.name not in FREE_TABLES
}


def cell_groups(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return `workload`, `settings` and `pressure` of each cell of some frames, indexed by cell.

    `settings` are the engine settings in which the cells of the workload differ, in words
    (`settings_words`); empty where they do not differ. The tightest pressure is that of a workload with
    these settings, since their pools may have other sizes.
    """
    levels = [name for name in level_names() if all(name in frame for frame in frames)]
    engine = [
        str(name)
        for name in dict.fromkeys(column for frame in frames for column in frame.columns)
        if name in _DEFAULTS or is_free_axis(str(name))
    ]
    columns = ["cell", "workload", *levels, *engine]
    rows = pd.concat(
        [frame.loc[frame["metric"] == OUTCOME].reindex(columns=columns).astype(object) for frame in frames],
        ignore_index=True,
    ).drop_duplicates("cell")
    workload = rows["workload"].where(rows["workload"].notna(), NO_WORKLOAD).astype(str)
    settings = _settings(rows[engine], workload)
    given, tight = (pd.Series(False, index=rows.index) for _ in range(2))
    for level in levels:
        values = pd.to_numeric(rows[level], errors="coerce").astype("Float64").astype("float64")
        given |= values.notna()
        tight |= values.notna() & (values == values.groupby([workload, settings]).transform("min"))
    pressure = pd.Series(MIDDLE, index=rows.index).mask(~given, NO).mask(tight, TIGHT)
    return pd.DataFrame(
        {
            "workload": workload.to_numpy(),
            "settings": settings.to_numpy(),
            "pressure": pressure.to_numpy(),
        },
        index=pd.Index(rows["cell"].astype(str), name="cell"),
    )


def settings_words(values: Mapping[str, object]) -> str:
    """Return engine settings by axis, None being SGLang's own default, as a clause: "with page_size=1"."""
    if len(values) > 1 and all(value == _DEFAULTS.get(axis) for axis, value in values.items()):
        return "with default settings"
    names = {axis: axis.partition(".")[2] if is_free_axis(axis) else axis for axis in values}
    given = [_with(names[axis], value) for axis, value in values.items() if value is not False]
    missing = [names[axis] for axis, value in values.items() if value is False]
    clauses = [f"{word} {' and '.join(found)}" for word, found in (("with", given), ("without", missing))]
    return ", ".join(clause for clause, found in zip(clauses, (given, missing), strict=True) if found)


def _with(name: str, value: object) -> str:
    if value is None:
        return f"default {name}"
    return name if value is True else f"{name}={value}"


def _settings(engine: pd.DataFrame, workload: pd.Series[str]) -> pd.Series[str]:
    """The words of each row: of as few axes as tell its settings from the others of its workload."""
    words = pd.Series("", index=engine.index, dtype=object)
    for _, part in engine.groupby(workload, sort=False):
        # Unboxed, so that `is True` holds of what numpy and pandas have as a boolean.
        plain = {axis: [_plain(value) for value in part[axis]] for axis in part.columns}
        differing = {axis: values for axis, values in plain.items() if len(set(values)) > 1}
        axes = sorted(differing, key=lambda axis: (axis != _MODEL, not is_free_axis(axis)))
        every = [tuple(differing[axis][place] for axis in axes) for place in range(len(part))]
        of_settings = {one: settings_words(_telling(axes, one, set(every) - {one})) for one in set(every)}
        for index, one in zip(part.index, every, strict=True):
            words[index] = of_settings[one]
    return words


def _telling(
    axes: Sequence[str], own: tuple[object, ...], others: Collection[tuple[object, ...]]
) -> dict[str, object]:
    """The fewest axes, the first of equals, in which some settings differ from each of the others."""
    for size in range(1, len(axes) + 1):
        for places in combinations(range(len(axes)), size):
            if all(any(own[place] != other[place] for place in places) for other in others):
                return {axes[place]: own[place] for place in places}
    return {}


def _plain(value: object) -> object:
    if value is None or value is pd.NA or value != value:
        return None
    return value.item() if hasattr(value, "item") else value
