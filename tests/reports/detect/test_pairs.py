"""Promises of the inference on paired host time."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports import Config, compare, load_results, load_side
from reports.detect.multiple_testing import adjust, pairs_needed
from reports.detect.paired_tests import PairedEstimates, estimate, judge_estimates
from reports.detect.pairs import detect_paired, pair_up
from reports.detect.thresholds import CONFIDENCE_LEVEL, FDR_LEVEL, MIN_PAIRS
from reports.explain.comparison import Comparison
from reports.load.builds import pick
from tests.reports import slow_doubles
from tests.reports.make import BASE, HEAD, cells, write_pairs, write_sweep

_SIGN = {"lower": 1.0, "higher": -1.0, "none": 0.0}


def _compare(tmp_path: Path, **how: object) -> Comparison:
    write_sweep(tmp_path / "base", grid=cells())
    write_sweep(tmp_path / "head", HEAD, grid=cells())
    write_pairs(tmp_path / "pairs", cells(), **how)  # type: ignore[arg-type]
    return compare(
        load_side(str(tmp_path / "base")),
        load_side(str(tmp_path / "head")),
        pairs=load_results([tmp_path / "pairs"]),
    )


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(5, 30), st.integers(1, 20))
def test_the_vectorised_detector_equals_the_slow_one(seed: int, pairs: int, tests: int) -> None:
    """Arrays and loops give the same verdicts for any noise, shifts, directions and numbers of pairs."""
    draw = np.random.default_rng(seed)
    rows = 0.03 * draw.normal(size=(tests, pairs)) + draw.choice([0, 0, -0.1, 0.1], size=(tests, 1))
    better = list(draw.choice(sorted(_SIGN), size=tests))
    effects = draw.choice([0.0, 0.02, 0.05], size=tests)
    found = estimate(rows)
    verdicts = judge_estimates(
        found, adjust(found.p), np.array([_SIGN[word] for word in better]), np.log1p(effects)
    )
    slow = slow_doubles.judge_pairs(
        rows.tolist(), better, effects.tolist(), level=CONFIDENCE_LEVEL, fdr=FDR_LEVEL
    )
    assert list(verdicts) == slow


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_adjusted_p_values_follow_the_definition(p_values: list[float]) -> None:
    """Benjamini-Hochberg of the library equals its definition."""
    assert adjust(np.array(p_values)) == pytest.approx(slow_doubles.adjust(p_values))


def _false_alarms(found: PairedEstimates, adjusted: np.ndarray) -> bool:  # type: ignore[type-arg]
    zero = np.zeros(len(adjusted))
    return bool(np.isin(judge_estimates(found, adjusted, zero + 1, zero), ["worse", "better"]).any())


def test_false_alarms_on_identical_builds() -> None:
    """Over 1,000 grids of identical builds at most the stated rate raises any alarm, however small."""
    draw = np.random.default_rng(7)
    alarms = 0
    for _ in range(1_000):
        found = estimate(0.03 * draw.normal(size=(144, 12)))
        alarms += _false_alarms(found, adjust(found.p))
    # Three standard deviations of a binomial count above the rate.
    assert alarms <= 1_000 * FDR_LEVEL + 3 * math.sqrt(1_000 * FDR_LEVEL * (1 - FDR_LEVEL))


@pytest.mark.parametrize("seed", range(5))
def test_a_slowdown_of_ten_percent_is_found(tmp_path: Path, seed: int) -> None:
    """12 pairs with 3 % noise on each run find a slowdown of 10 %, in the right cells and no others."""

    def slow(cell: object) -> float:
        return 1.0 if "pages=all," in cell.id else 1.10  # type: ignore[attr-defined]

    found = _compare(tmp_path, pairs=12, seed=seed, slowdown=slow)
    assert found.decision.exit_code == 1
    rows = found.verdicts[found.verdicts["metric"] == "scheduler_cpu_ms_per_step"].set_index("cell")
    worse = set(rows.index[rows["verdict"] == "worse"])
    slowed = {cell.id for cell in cells() if slow(cell) > 1}
    assert worse <= slowed
    assert len(worse) >= len(slowed) - 2
    tests = found.grid_tests.set_index(["axis", "axis_value"])["verdict"]
    assert tests["leave_pages", "16"] == "worse"
    assert tests["leave_pages", "all"] not in ("worse", "better")


def test_a_slowdown_too_small_for_one_cell_is_found_over_the_grid(tmp_path: Path) -> None:
    """6 % everywhere is decided over the grid even where single cells are not."""
    found = _compare(tmp_path, pairs=12, seed=3, slowdown=lambda cell: 1.06, noise=0.05)
    rows = found.verdicts[found.verdicts["metric"] == "scheduler_cpu_ms_per_step"]
    whole = found.grid_tests[found.grid_tests["axis"] == ""].iloc[0]
    assert (rows["verdict"] != "worse").any()
    assert whole["verdict"] == "worse"
    assert whole["ratio"] == pytest.approx(1.06, rel=0.02)
    assert found.decision.exit_code == 1


def test_identical_builds_pass(tmp_path: Path) -> None:
    """Pairs of identical builds whose interval lies inside the smallest effect pass, over the whole grid."""
    found = _compare(tmp_path, pairs=12, seed=1)
    assert found.decision.exit_code == 0
    assert not found.verdicts["verdict"].isin(["worse", "better"]).any()
    assert set(found.grid_tests["verdict"]) == {"same"}


def test_a_small_effect_is_no_loss(tmp_path: Path) -> None:
    """A slowdown that is certain and below the smallest effect is the same, until that effect is lowered."""
    write_sweep(tmp_path / "base")
    write_sweep(tmp_path / "head", HEAD)
    write_pairs(tmp_path / "pairs", cells(), pairs=16, slowdown=lambda cell: 1.03, noise=0.002)
    sides = load_side(str(tmp_path / "base")), load_side(str(tmp_path / "head"))
    pairs = load_results([tmp_path / "pairs"])
    assert compare(*sides, pairs=pairs).decision.exit_code == 0
    strict = Config(smallest_effect={"scheduler_cpu_ms_per_step": 0.01})
    assert compare(*sides, pairs=pairs, config=strict).decision.exit_code == 1


def test_too_few_pairs_decide_nothing(tmp_path: Path) -> None:
    """Below the least number of pairs even a doubling is undecided, and the gate could not decide."""
    found = _compare(tmp_path, pairs=MIN_PAIRS - 1, slowdown=lambda cell: 2.0)
    rows = found.verdicts[found.verdicts["metric"] == "scheduler_cpu_ms_per_step"]
    assert set(rows["verdict"]) == {"undecided"}
    assert set(rows["reason"]) == {f"{MIN_PAIRS - 1} pairs, {MIN_PAIRS} needed"}
    assert found.decision.exit_code == 2


def test_unbalanced_orders_decide_nothing(tmp_path: Path) -> None:
    """Pairs that all ran base first cannot distinguish a slowdown from a drift."""
    found = _compare(tmp_path, pairs=12, slowdown=lambda cell: 2.0, orders="AB")
    rows = found.verdicts[found.verdicts["metric"] == "scheduler_cpu_ms_per_step"]
    assert set(rows["verdict"]) == {"undecided"}
    assert rows["reason"].str.contains("not balanced").all()


def test_cells_without_pairs_keep_the_grid_undecided(tmp_path: Path) -> None:
    """A cell that lost its rounds is missing data: the whole grid is no pass without it."""
    first = cells()[0].id

    def drop(one: dict[str, object]) -> dict[str, object] | None:
        return None if one["cell"] == first and one["round"] > 4 else one  # type: ignore[operator]

    found = _compare(tmp_path, pairs=12, change=drop)
    whole = found.grid_tests[found.grid_tests["axis"] == ""].iloc[0]
    assert (whole["verdict"], whole["reason"]) == ("undecided", "1 cells lack pairs")
    assert found.decision.exit_code == 2


def test_single_runs_of_host_time_are_shown_and_never_worse(tmp_path: Path) -> None:
    """Host time of one run each is undecided, whatever it says, and does not fail the gate."""
    base = write_sweep(tmp_path / "a")
    head = write_sweep(
        tmp_path / "b",
        HEAD,
        lambda one: one | {"metrics": one["metrics"] | {"scheduler_cpu_ms_per_step": 9.0}},
    )
    found = compare(load_side(str(base)), load_side(str(head)))
    rows = found.verdicts[found.verdicts["metric"] == "scheduler_cpu_ms_per_step"]
    assert set(rows["verdict"]) == {"undecided"}
    assert set(rows["head"]) == {9.0}
    assert found.decision.exit_code == 0


def test_pairs_come_from_one_session_and_round(tmp_path: Path) -> None:
    """Runs of different rounds or folders are never paired; a side that did not drain gives no pair."""

    def stall(one: dict[str, object]) -> dict[str, object]:
        return one | ({"outcome": "stalled"} if one["round"] == 0 and one["target"] == HEAD else {})

    write_pairs(tmp_path / "a", cells()[:1], pairs=4, change=stall)
    write_pairs(tmp_path / "b", cells()[:1], pairs=4)
    results = load_results([tmp_path])
    found = pair_up(pick(results, BASE).results.frame, pick(results, HEAD).results.frame)
    assert found.groupby("session").size().tolist() == [3, 4]
    assert detect_paired(found)["pairs"].tolist() == [7]


def test_pairs_needed_is_where_one_change_can_be_found() -> None:
    """With that many pairs the smallest p of the test passes the first adjusted level, with one fewer not."""
    for tests in (1, 10, 144, 2_000):
        pairs = pairs_needed(tests)
        smallest = float(estimate(np.linspace(1, 2, pairs)[None, :]).p[0])
        assert smallest <= FDR_LEVEL / tests
        if pairs > 1:
            assert 2 * smallest > FDR_LEVEL / tests


def test_ties_and_zeros_do_not_break_the_test() -> None:
    """Equal and zero differences, as coarse clocks give, still have a p; no difference at all has p = 1."""
    rows = np.array([[0.0] * 12, [0.1] * 12, [0.0, 0.1] * 6])
    found = estimate(rows)
    assert found.p[0] == 1.0
    assert found.p[1] < 0.01
    assert 0 < found.p[2] < 0.1
