"""Two looks at host time: what the first leaves open."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from exhausters.observe.metrics import HOST
from exhausters.sweep.record import DRAINED
from reports.detect.looks import undecided_cells
from reports.detect.pairs import detect_paired, pair_up
from reports.vocabulary import UNDECIDED, WORSE


def _frame(values: dict[str, list[float]]) -> pd.DataFrame:
    rows = [
        {
            "session": "s",
            "round": number,
            "boot": number,
            "cell": cell,
            "metric": "scheduler_cpu_ms_per_step",
            "kind": HOST,
            "unit": "ms",
            "better": "lower",
            "smallest_effect": 0.05,
            "order": "AB" if number % 2 else "BA",
            "outcome": DRAINED,
            "value": value,
        }
        for cell, ratios in values.items()
        for number, value in enumerate(ratios)
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("middle", "spread", "is_open"),
    [(1.3, 0.01, True), (1.0, 0.005, False), (1.06, 0.1, True), (1.0, 0.2, True)],
)
def test_only_cells_that_are_not_clearly_the_same_get_more_pairs(
    middle: float, spread: float, is_open: bool
) -> None:
    """A clear absence of a change is decided by ten pairs; any change waits for more of them."""
    noise = np.random.default_rng(3).normal(0, spread, 10)
    base, head = _frame({"cell": [1.0] * 10}), _frame({"cell": list(middle * np.exp(noise))})
    assert undecided_cells(base, head) == (frozenset({"cell"}) if is_open else frozenset())


def test_rounds_that_share_their_processes_are_one_pair() -> None:
    """Two processes of one build can differ in all of their rounds: the median of those counts once."""
    base = _frame({"cell": [1.0] * 5})
    head = _frame({"cell": [1.1, 1.3, 1.2, 1.05, 0.9]})
    boots = [0, 0, 0, 1, 1]
    pairs = pair_up(base.assign(boot=boots), head.assign(boot=boots))
    assert list(np.exp(pairs["log_ratio"]).round(3)) == [1.2, round(float(np.sqrt(1.05 * 0.9)), 3)]
    assert len(pair_up(base.assign(boot=pd.NA), head.assign(boot=pd.NA))) == 5


def test_a_pair_of_processes_with_both_orders_is_balanced() -> None:
    """Rounds that share processes count with their orders: A B and B A in each pair are judged."""
    noise = np.random.default_rng(5).normal(0, 0.01, 24)
    base, head = _frame({"cell": [1.0] * 24}), _frame({"cell": list(1.2 * np.exp(noise))})
    boots = [number // 2 for number in range(24)]
    (found,) = detect_paired(pair_up(base.assign(boot=boots), head.assign(boot=boots))).itertuples()
    assert (found.verdict, found.pairs) == (WORSE, 12)
    boots = [number // 12 for number in range(24)]
    (found,) = detect_paired(pair_up(base.assign(boot=boots), head.assign(boot=boots))).itertuples()
    assert found.verdict == UNDECIDED
    assert found.reason == "24 rounds shared 2 pairs of processes, 10 needed"


def test_no_pairs_leave_nothing_open() -> None:
    """Where no run drained there is nothing to be decided by more of them."""
    frame = _frame({"cell": [1.0] * 10}).assign(outcome="crashed")
    assert undecided_cells(frame, frame) == frozenset()
