"""Promises of the exact detector."""

from __future__ import annotations

from pathlib import Path

import pytest

from reports import compare, load_side
from tests.reports.make import HEAD, METRICS, cells, write_sweep


@pytest.mark.parametrize(
    ("metric", "head", "verdict"),
    [
        ("retractions", 5001, "worse"),
        ("retractions", 4999, "better"),
        ("goodput_requests_per_second", 2.4999, "worse"),
        ("goodput_requests_per_second", 2.6, "better"),
        ("mixed_steps", 4, "changed"),
        ("end_to_end_p50_seconds", 0.5000001, "worse"),
        ("retractions", None, "changed"),
        ("retractions", 5000, "same"),
    ],
)
def test_direction_and_equality(tmp_path: Path, metric: str, head: float | None, verdict: str) -> None:
    """The smallest difference counts, in the direction that the registry gives."""
    cell = cells()[:1]
    base = write_sweep(tmp_path / "a", grid=cell)
    other = write_sweep(
        tmp_path / "b", HEAD, lambda one: one | {"metrics": METRICS | {metric: head}}, grid=cell
    )
    found = compare(load_side(str(base)), load_side(str(other)))
    assert found.verdicts.set_index("metric").loc[metric, "verdict"] == verdict


def test_a_metric_that_one_side_did_not_measure_is_undecided(tmp_path: Path) -> None:
    """A metric that head has not measured is never a pass."""

    def without(one: dict[str, object]) -> dict[str, object]:
        return one | {"metrics": {k: v for k, v in METRICS.items() if k != "retractions"}}

    base, head = write_sweep(tmp_path / "a"), write_sweep(tmp_path / "b", HEAD, without)
    decision = compare(load_side(str(base)), load_side(str(head))).decision
    assert (decision.verdict, decision.exit_code) == ("undecided", 2)


def test_runs_of_one_build_must_agree(tmp_path: Path) -> None:
    """Two runs of one build that disagree about an exact metric are broken, not averaged."""
    write_sweep(tmp_path / "head" / "one", HEAD)
    write_sweep(tmp_path / "head" / "two", HEAD, lambda one: one | {"metrics": METRICS | {"chunks": 1}})
    write_sweep(
        tmp_path / "head" / "three", HEAD, lambda one: one | {"metrics": METRICS | {"retractions": 1}}
    )
    base = write_sweep(tmp_path / "base")
    found = compare(load_side(str(base)), load_side(str(tmp_path / "head")))
    rows = found.verdicts[found.verdicts["metric"] == "retractions"]
    assert set(rows["verdict"]) == {"broken"}
    assert found.decision.exit_code == 2


def test_a_tolerance_of_the_configuration_replaces_equality(tmp_path: Path) -> None:
    """A difference within the configured tolerance is the same."""
    from reports import Config

    base = write_sweep(tmp_path / "a")
    head = write_sweep(tmp_path / "b", HEAD, lambda one: one | {"metrics": METRICS | {"retractions": 6000}})
    sides = load_side(str(base)), load_side(str(head))
    assert compare(*sides).decision.exit_code == 1
    assert compare(*sides, config=Config(tolerance={"retractions": 0.2})).decision.exit_code == 0
