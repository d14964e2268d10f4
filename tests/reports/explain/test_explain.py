"""Promises about explanations: where, together with what, and from which step on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reports import compare, load_side
from reports.explain.axes import axis_table
from reports.explain.comparison import Comparison
from reports.explain.divergence import compare_log_files
from reports.explain.headlines import describe_change, format_percent
from reports.explain.regions import where
from reports.load.load_results import load_results
from tests.reports.make import HEAD, METRICS, cells, write_sweep

DATA = Path(__file__).parents[1] / "data"


def _where(tmp_path: Path, hit: object) -> str:
    results = load_results([write_sweep(tmp_path)])
    table = axis_table([results.frame], results.axes)
    mask = np.array([hit(cell) for cell in cells()])  # type: ignore[operator]
    assert table.cells == tuple(cell.id for cell in cells())
    return str(where(mask, table))


@pytest.mark.parametrize(
    ("hit", "told"),
    [
        (
            lambda c: c.levels.leave_pages in (16, 64) and c.engine.page_size == 16,
            "leave_pages <= 64 and page_size = 16",
        ),
        (lambda c: c.levels.leave_pages is None, "leave_pages = all"),
        (lambda c: c.levels.leave_pages in (None, 128), "leave_pages >= 128"),
        (lambda c: c.levels.leave_pages in (64, 128), "64 <= leave_pages <= 128"),
        (lambda c: c.workload == "agents", "workload = agents"),
        (lambda c: True, "everywhere"),
        (lambda c: False, ""),
        (
            lambda c: c.workload == "agents" or (c.levels.leave_pages == 16 and c.engine.page_size == 1),
            "workload = agents (8 of 8 cells)",
        ),
    ],
)
def test_where_names_the_smallest_set_of_axis_values(tmp_path: Path, hit: object, told: str) -> None:
    """A loss planted in a part of the grid is described by exactly that part, with no axis too many."""
    found = _where(tmp_path, hit)
    if told.endswith("cells)"):
        assert found.startswith("workload = agents; and 1 other cell")
    else:
        assert found == told


def test_one_cell_that_did_not_lose_is_told(tmp_path: Path) -> None:
    """A region of which one cell was spared is still named, with the count."""
    spared = cells()[-1].id
    found = _where(tmp_path, lambda c: c.workload == "agents" and c.id != spared)
    assert found == "workload = agents (7 of 8 cells)"


def test_two_separate_losses_are_two_regions(tmp_path: Path) -> None:
    """Losses in two parts that no one box describes are both named."""
    found = _where(
        tmp_path,
        lambda c: (
            (c.workload == "agents" and c.engine.page_size == 1)
            or (c.workload == "shared_prefix" and c.engine.page_size == 16)
        ),
    )
    assert sorted(found.split("; or ")) == [
        "workload = agents and page_size = 1",
        "workload = shared_prefix and page_size = 16",
    ]


def test_cells_without_a_pattern_are_called_scattered(tmp_path: Path) -> None:
    """Single cells here and there are counted, not dressed up as a region."""
    chosen = {cells()[i].id for i in (0, 7, 10)}
    assert _where(tmp_path, lambda c: c.id in chosen) == "3 scattered cells"


def _planted(tmp_path: Path) -> Comparison:
    def worse(one: dict[str, object]) -> dict[str, object]:
        left = one["levels"]["leave_pages"]  # type: ignore[index]
        if left in (16, 64) and one["engine"]["page_size"] == 16:  # type: ignore[index]
            moved = {"evicted_tokens": 6900, "steps_to_drain": 110, "modelled_seconds": 0.55}
            return one | {"metrics": METRICS | moved, "decision_digest": "other"}
        if left is None:
            return one | {"decision_digest": "changed"}
        return one

    base, head = write_sweep(tmp_path / "a"), write_sweep(tmp_path / "b", HEAD, worse)
    return compare(load_side(str(base)), load_side(str(head)))


def test_metrics_that_moved_together_are_one_headline(tmp_path: Path) -> None:
    """Three metrics that lost in the same cells are one headline, led by what a user would feel."""
    first, second = _planted(tmp_path).headlines
    assert first.text == "leave_pages <= 64 and page_size = 16: modelled seconds +10 %"
    assert [(other.metric, other.change) for other in first.others] == [
        ("evicted_tokens", "+38 %"),
        ("steps_to_drain", "+10 %"),
    ]
    assert second.lead.verdict == "changed"
    assert second.text == "leave_pages = all: decisions differ, and no metric is worse or better"


def test_the_first_divergence_of_two_real_logs_is_shown() -> None:
    """Two releases that decide differently: the step, what differs in it, and both sides around it."""
    found = compare(load_side(str(DATA / "release_0.5.22")), load_side(str(DATA / "release_0.5.23")))
    divergence = next(one for one in found.divergences if one.step is not None)
    base = next(step for step in divergence.base if step["step"] == divergence.step)
    head = next(step for step in divergence.head if step["step"] == divergence.step)
    assert divergence.field_names
    assert all(base[name] != head[name] for name in divergence.field_names)
    before = [step for step in divergence.base if step["step"] < divergence.step]
    assert before == [step for step in divergence.head if step["step"] < divergence.step]


def test_a_log_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """A missing or broken decision log is a sentence in the report, not an error."""
    (tmp_path / "broken").write_bytes(b"nothing")
    there = str(tmp_path / "broken")
    assert "missing" in compare_log_files("cell", None, there).problem
    assert "cannot read" in compare_log_files("cell", str(tmp_path / "nowhere"), there).problem
    assert "not a complete decision log" in compare_log_files("cell", there, there).problem


@pytest.mark.parametrize(
    ("base", "head", "told"),
    [
        ([100.0, 50.0], [138.0, 69.0], "+38 %"),
        ([0.0, 100.0], [0.0, 95.0], "-5.0 %"),
        ([0.0, 0.0], [5.0, 7.0], "0 to 12"),
        ([4.0], [0.0], "4 to 0"),
        ([float("nan")], [1.0], ""),
    ],
)
def test_a_change_over_cells_is_told_in_one_number(base: list[float], head: list[float], told: str) -> None:
    """Ratios where there are any, sums where the base is nothing."""
    assert describe_change(np.array(base), np.array(head))[0] == told


def test_small_percentages_do_not_round_to_nothing() -> None:
    """A change is never told as 0 %."""
    assert format_percent(0.000001) == "+0.0001 %"
    assert format_percent(-0.0123) == "-1.2 %"
