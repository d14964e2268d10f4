"""A change of host time must show in two pairs of processes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from reports.detect.boots import ONE_BOOT, unconfirmed
from reports.detect.grid_tests import detect_grid
from reports.detect.pairs import detect_paired

_SMALLEST = float(np.log1p(0.05))


@pytest.mark.parametrize(
    ("first", "second", "why"),
    [
        (1.10, 1.08, ""),
        (0.90, 0.94, ""),
        (1.20, 1.01, "pairs of processes do not agree: +20.0 % and +1.0 %"),
        (1.20, 0.85, "pairs of processes do not agree: +20.0 % and -15.0 %"),
    ],
)
def test_each_pair_of_processes_must_show_it(first: float, second: float, why: str) -> None:
    """On the same side, and by the smallest effect: what one of them shows alone is its own."""
    assert unconfirmed(np.log([first] * 5 + [second] * 5), [0] * 5 + [1] * 5, _SMALLEST) == why


def test_one_pair_of_processes_confirms_nothing() -> None:
    """However many pairs it ran; of records that do not say there is nothing to ask."""
    assert unconfirmed(np.log([1.3] * 40), [0] * 40, _SMALLEST) == ONE_BOOT
    assert unconfirmed(np.log([1.3] * 40), [pd.NA] * 40, _SMALLEST) == ""


def _pairs(ratios: Sequence[float], boots: Sequence[int]) -> pd.DataFrame:
    noise = np.random.default_rng(7).normal(0, 0.004, len(ratios))
    return pd.DataFrame(
        {
            "session": "s",
            "cell": "cell",
            "metric": "scheduler_cpu_ms_per_step",
            "unit": "ms",
            "better": "lower",
            "smallest_effect": 0.05,
            "round": range(len(ratios)),
            "boot": pd.array(list(boots), dtype="Int64"),
            "order": ["AB", "BA"] * (len(ratios) // 2),
            "base": 1.0,
            "head": ratios,
            "log_ratio": np.log(ratios) + noise,
        }
    )


@pytest.mark.parametrize(
    ("second", "boots", "verdict"),
    [(1.2, (0, 1), "worse"), (1.2, (0, 0), "undecided"), (1.0, (0, 1), "undecided")],
)
def test_a_cell_and_the_grid_wait_for_another_pair_of_processes(
    second: float, boots: tuple[int, int], verdict: str
) -> None:
    """Twenty pairs are one change in two pairs of processes, and nothing yet in one; the reason says so."""
    pairs = _pairs([1.2] * 10 + [second] * 10, [boots[0]] * 10 + [boots[1]] * 10)
    cells = detect_paired(pairs)
    grid = detect_grid(pairs, pd.DataFrame(index=["cell"]), cells)
    assert list(cells["verdict"]) == list(grid["verdict"]) == [verdict]
    if verdict == "undecided":
        assert all("process" in reason or "noise" in reason for reason in (*cells["reason"], *grid["reason"]))
