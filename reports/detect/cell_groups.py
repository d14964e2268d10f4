"""Which workload a cell runs, and how much pressure it is under: the words in which effects are told."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from exhausters.pressure import level_names
from reports.vocabulary import OUTCOME

# No level is given; everything between; at the smallest value of some level.
NO, MIDDLE, TIGHT = "no", "middle", "tight"
PRESSURES = (NO, MIDDLE, TIGHT)
# The group of cells that name no workload (asv suites of other projects).
NO_WORKLOAD = "all cells"


def cell_groups(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return `workload` and `pressure` of each cell of some frames, indexed by cell."""
    levels = [name for name in level_names() if all(name in frame for frame in frames)]
    columns = ["cell", "workload", *levels]
    rows = pd.concat(
        [frame.loc[frame["metric"] == OUTCOME].reindex(columns=columns).astype(object) for frame in frames],
        ignore_index=True,
    ).drop_duplicates("cell")
    workload = rows["workload"].where(rows["workload"].notna(), NO_WORKLOAD).astype(str)
    given, tight = (pd.Series(False, index=rows.index) for _ in range(2))
    for level in levels:
        values = pd.to_numeric(rows[level], errors="coerce").astype("Float64").astype("float64")
        given |= values.notna()
        tight |= values.notna() & (values == values.groupby(workload).transform("min"))
    pressure = pd.Series(MIDDLE, index=rows.index).mask(~given, NO).mask(tight, TIGHT)
    return pd.DataFrame(
        {"workload": workload.to_numpy(), "pressure": pressure.to_numpy()},
        index=pd.Index(rows["cell"].astype(str), name="cell"),
    )
