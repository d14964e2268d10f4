"""Promises about what changed together, and by how much."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reports import compare, load_side
from reports.explain.comparison import Comparison
from reports.explain.headlines import describe_change, format_percent
from tests.reports.make import HEAD, METRICS, write_sweep


def _planted(tmp_path: Path) -> Comparison:
    def worse(one: dict[str, object]) -> dict[str, object]:
        left = one["levels"]["leave_pages"]  # type: ignore[index]
        if left in (16, 64) and one["engine"]["page_size"] == 16:  # type: ignore[index]
            moved = {"retractions": 6900, "output_tokens_per_second": 90, "end_to_end_p50_seconds": 0.55}
            return one | {"metrics": METRICS | moved, "decision_digest": "other"}
        if left is None:
            return one | {"decision_digest": "changed"}
        return one

    base, head = write_sweep(tmp_path / "a"), write_sweep(tmp_path / "b", HEAD, worse)
    return compare(load_side(str(base)), load_side(str(head)))


def test_metrics_that_moved_together_are_one_headline(tmp_path: Path) -> None:
    """Three metrics that lost in the same cells are one headline, led by what a user would feel."""
    first, second = _planted(tmp_path).headlines
    assert first.text == "leave_pages <= 64 and page_size = 16: output tokens per second -10.0 %"
    assert [(other.metric, other.change) for other in first.others] == [
        ("end_to_end_p50_seconds", "+10 %"),
        ("retractions", "+38 %"),
    ]
    assert second.lead.verdict == "changed"
    assert second.text == "leave_pages = all: decisions differ, and no metric is worse or better"


@pytest.mark.parametrize(
    ("base", "head", "expected"),
    [
        ([100.0, 50.0], [138.0, 69.0], "+38 %"),
        ([0.0, 100.0], [0.0, 95.0], "-5.0 %"),
        ([0.0, 0.0], [5.0, 7.0], "0 to 12"),
        ([4.0], [0.0], "4 to 0"),
        ([float("nan")], [1.0], ""),
    ],
)
def test_a_change_over_cells_is_one_number(base: list[float], head: list[float], expected: str) -> None:
    """Ratios where there are any, sums where the base is nothing."""
    assert describe_change(np.array(base), np.array(head))[0] == expected


def test_small_percentages_do_not_round_to_nothing() -> None:
    """A change is never shown as 0 %."""
    assert format_percent(0.000001) == "+0.0001 %"
    assert format_percent(-0.0123) == "-1.2 %"
