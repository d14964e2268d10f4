"""Promises about a range of builds."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exhausters.observe.metrics import METRICS as REGISTRY
from reports import detect_history, load_results
from reports.detect.change_point_tests import confirm
from reports.detect.change_points import candidates
from reports.detect.history import History
from reports.detect.thresholds import FDR_LEVEL
from reports.errors import NotComparableError
from reports.load.frame import results_of
from reports.load.measurements import Reading, Run
from tests.reports import slow_doubles
from tests.reports.make import METRICS, write_sweep

EXACT = ("steps_to_drain", "requests_per_prefill_batch", "mixed_steps")
# A build that did not measure a metric, and one that measured it and has no such value.
_GAP, _NO_VALUE = math.nan, math.inf


def _runs(values: np.ndarray, *, session: str = "s") -> list[Run]:  # type: ignore[type-arg]
    """One run per build and cell; values are builds x cells x metrics; see `_GAP` and `_NO_VALUE`."""
    return [
        Run(
            target=f"b{build:03d}",
            suite="sweep",
            session=session,
            cell=f"cell{cell}",
            outcome="drained",
            readings=tuple(
                Reading(metric=REGISTRY[name], value=None if value == _NO_VALUE else value)
                for name, value in zip(EXACT, row, strict=True)
                if not math.isnan(value)
            ),
        )
        for build, rows in enumerate(values)
        for cell, row in enumerate(rows)
    ]


def _noisy_history(levels: np.ndarray, *, noise: float = 0.02, seed: int = 0) -> History:  # type: ignore[type-arg]
    """Builds x cells of CPU seconds, each in a session with the anchor on a machine of its own speed."""
    draw = np.random.default_rng(seed)
    metric = REGISTRY["scheduler_cpu_ms_per_step"]
    runs = []
    for build, row in enumerate(levels):
        speed = float(np.exp(0.3 * draw.normal()))
        for cell, level in enumerate(row):
            for target, value in (("anchor", 1.0), (f"b{build:03d}", float(level))):
                seconds = speed * value * float(np.exp(noise * draw.normal()))
                runs.append(
                    Run(
                        target=target,
                        suite="sweep",
                        session=f"session{build}",
                        cell=f"cell{cell}",
                        outcome="drained",
                        round=0,
                        order="AB",
                        readings=(Reading(metric=metric, value=seconds),),
                    )
                )
    names = [f"b{build:03d}" for build in range(len(levels))]
    return detect_history(results_of(runs, [], []).frame, names, anchor="anchor")


@settings(max_examples=60, deadline=None)
@given(
    st.integers(2, 6).flatmap(
        lambda builds: st.lists(
            st.lists(st.sampled_from([_GAP, _NO_VALUE, 1.0, 2.0, 3.0]), min_size=6, max_size=6),
            min_size=builds,
            max_size=builds,
        )
    )
)
def test_the_vectorised_history_equals_the_slow_one(rows: list[list[float]]) -> None:
    """For any values and gaps, each change is found at the right build, against the right one before."""
    values = np.array(rows).reshape(len(rows), 2, 3)
    names = [f"b{build:03d}" for build in range(len(rows))]
    found = detect_history(results_of(_runs(values), [], []).frame, names).changes
    series = {f"cell{cell}/{name}": 3 * cell + index for cell in range(2) for index, name in enumerate(EXACT)}
    keys = [f"{row.cell}/{row.metric}" for row in found.itertuples()]
    ours = {
        (names.index(row.build), names.index(row.before_build), series[key], row.verdict)
        for row, key in zip(found.itertuples(), keys, strict=True)
    }
    better = [REGISTRY[name].better for _ in range(2) for name in EXACT]
    plain = [
        [None if math.isnan(one) else math.nan if one == _NO_VALUE else one for one in row] for row in rows
    ]
    assert ours == slow_doubles.history_changes(plain, better, [0.0] * 6)


def test_a_shift_of_host_time_is_found_where_it_happened() -> None:
    """A slowdown of 10 % in some cells is found at its build, although machines differ by 30 %."""
    levels = np.ones((40, 6))
    levels[25:, :3] = 1.10
    found = _noisy_history(levels).changes
    assert set(found["cell"]) == {"cell0", "cell1", "cell2"}
    assert set(found["verdict"]) == {"worse"}
    assert all(abs(int(name[1:]) - 25) <= 2 for name in found["build"])
    assert (found["after"] / found["before"]).to_numpy() == pytest.approx(1.10, rel=0.03)


def test_no_shift_no_alarm() -> None:
    """Over 200 histories of one level at most the stated rate has any confirmed change, however small."""
    draw = np.random.default_rng(5)
    alarms = 0
    for _ in range(200):
        values = 0.03 * draw.normal(size=(60, 20))
        ones = np.ones(20)
        alarms += bool(confirm(values, candidates(values), sign=ones, log_effect=0 * ones))
    assert alarms <= 200 * FDR_LEVEL + 3 * math.sqrt(200 * FDR_LEVEL * (1 - FDR_LEVEL))


def test_a_single_bad_build_is_no_change() -> None:
    """One outlier is not a level."""
    levels = np.ones((40, 4))
    levels[20] = 1.5
    assert _noisy_history(levels).changes.empty


def test_builds_without_the_anchor_are_counted() -> None:
    """Host time that was not measured beside the anchor is not judged, and counted."""
    metric = REGISTRY["scheduler_cpu_ms_per_step"]
    runs = [
        Run(
            target=f"b{build}",
            suite="sweep",
            session=f"s{build}",
            cell="cell",
            outcome="drained",
            round=0,
            readings=(Reading(metric=metric, value=1.0),),
        )
        for build in range(10)
    ]
    found = detect_history(results_of(runs, [], []).frame, [f"b{build}" for build in range(10)])
    assert found.changes.empty
    assert found.unanchored == 9


def test_outcomes_and_missing_cells_are_reported(tmp_path: Path) -> None:
    """A build that lacks a cell, or whose cell stalls, shows in the history; the rest is still judged."""
    write_sweep(tmp_path / "a", "release:1")
    first = []

    def lossy(one: dict[str, object]) -> dict[str, object] | None:
        first.append(one["cell"])
        if len(first) == 1:
            return None
        return one | ({"outcome": "stalled"} if len(first) == 2 else {})

    write_sweep(tmp_path / "b", "release:2", lossy)
    found = detect_history(load_results([tmp_path]).frame, ["release:1", "release:2"])
    assert found.missing == {"release:1": 0, "release:2": 1}
    assert found.outcomes[["build", "outcome"]].to_numpy().tolist() == [["release:2", "stalled"]]


def test_a_range_that_mixes_is_refused(tmp_path: Path) -> None:
    """Builds run on other workloads, or runs of one build that disagree, are refused with the place."""
    write_sweep(tmp_path / "x" / "a", "release:1")
    write_sweep(
        tmp_path / "x" / "b",
        "release:2",
        lambda one: one | {"provenance": one["provenance"] | {"workload_digest": "other"}},
    )
    with pytest.raises(NotComparableError, match="workload digest differs"):
        detect_history(load_results([tmp_path / "x"]).frame, ["release:1", "release:2"])
    write_sweep(tmp_path / "y" / "a", "release:1")
    write_sweep(
        tmp_path / "y" / "b", "release:1", lambda one: one | {"metrics": METRICS | {"steps_to_drain": 1}}
    )
    with pytest.raises(NotComparableError, match=r"release:1 disagree about steps_to_drain"):
        detect_history(load_results([tmp_path / "y"]).frame, ["release:1"])
