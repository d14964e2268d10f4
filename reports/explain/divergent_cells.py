"""In which cells to look for the first step that differs: a few, of each workload one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from exhausters.observe.smallest_effects import OUTCOME_ROLE
from reports.detect.cell_groups import PRESSURES
from reports.detect.effect import Effect
from reports.explain.divergence import LogDivergence, compare_log_files
from reports.vocabulary import BETTER, CHANGED, WORSE

# Reading logs takes time, and a reader looks at a few at most.
MAX_DIVERGENCES = 5


def find_divergences(
    effects: Sequence[Effect], outcomes: pd.DataFrame, groups: pd.DataFrame
) -> tuple[LogDivergence, ...]:
    """Return the first divergence in one cell of each workload whose decisions differ.

    Cells in which something got worse come first, then those in which something got better, then those
    under least pressure: they are the easiest to follow.

    Args:
        effects: what became of each workload.
        outcomes: rows of `detect_outcomes`.
        groups: workload and pressure of each cell.
    """
    if outcomes.empty:
        return ()
    changed = outcomes[outcomes["log_verdict"] == CHANGED].set_index("cell")
    found: dict[str, LogDivergence] = {}
    for cell in _candidates(effects, list(changed.index), groups):
        workload = str(groups.loc[cell, "workload"])
        if cell not in changed.index or workload in found:
            continue
        row = changed.loc[cell]
        found[workload] = compare_log_files(cell, row["base_log"], row["head_log"])
        if len(found) == MAX_DIVERGENCES:
            break
    return tuple(found.values())


def _candidates(effects: Sequence[Effect], changed: Sequence[str], groups: pd.DataFrame) -> Iterator[str]:
    for verdict in (WORSE, BETTER):
        for effect in effects:
            if effect.verdict == verdict and effect.role == OUTCOME_ROLE:
                yield from effect.worse_cells if verdict == WORSE else effect.better_cells
    yield from sorted(changed, key=lambda cell: PRESSURES.index(str(groups.loc[cell, "pressure"])))
