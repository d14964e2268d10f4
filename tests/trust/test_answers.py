"""Answers are held to what was expected, in both directions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.trust.answers import KnownReach, answered, compare_folder, faults
from tests.reports.make import BASE, HEAD, METRICS, write_sweep
from tests.trust.samples import a_plant, an_answer


def _slower(one: dict[str, Any]) -> dict[str, Any]:
    return one | {"metrics": METRICS | {"end_to_end_p50_seconds": 0.6}}


def test_the_same_records_judged_in_the_other_order_are_the_opposite(tmp_path: Path) -> None:
    """A loss swapped is a gain of the same role, without another run."""
    write_sweep(tmp_path / "base", BASE)
    write_sweep(tmp_path / "head", HEAD, _slower)
    forward, backward = (
        answered(compare_folder(tmp_path, swapped=swapped, reach=None)) for swapped in (False, True)
    )
    assert (forward.verdict, backward.verdict) == ("worse", "better")
    assert forward.roles == backward.roles == {"outcome"}
    assert forward.pressures == {"no", "middle", "tight"}
    assert faults(a_plant(role="outcome", under=("tight",)), forward, backward) == ()


def test_the_phase_is_that_in_which_the_count_moved_most(tmp_path: Path) -> None:
    """Calls are counted by phase: the cost is told where it sits."""
    per_step = {"python_calls_per_step_run": 50.0, "python_calls_per_step_evict": 50.0}

    def counted(calls: int, evict: float) -> Any:
        more = {"python_calls": calls, "python_calls_per_step": calls / 100}
        return lambda one: (
            one | {"metrics": METRICS | per_step | more | {"python_calls_per_step_evict": evict}}
        )

    write_sweep(tmp_path / "base", BASE, counted(10_000, 50.0))
    write_sweep(tmp_path / "head", HEAD, counted(12_000, 70.0))
    found = answered(compare_folder(tmp_path, swapped=False, reach=None))
    assert (found.verdict, found.roles, found.phase) == ("worse", {"cost"}, "evict")


def test_reach_is_that_of_the_comparison(tmp_path: Path) -> None:
    """Equal records of a change that nothing executed are unreached in either order."""
    write_sweep(tmp_path / "base", BASE)
    write_sweep(tmp_path / "head", HEAD)
    reach = KnownReach(text="0 of 1 changed lines reached", is_nothing_reached=True)
    for swapped in (False, True):
        assert answered(compare_folder(tmp_path, swapped=swapped, reach=reach)).verdict == "unreached"


def test_what_was_expected_has_no_fault() -> None:
    """Sign, role, phase and pressure are all as they were written down."""
    plant = a_plant(role="cost", phase="run", under=("tight",), not_under=("no",))
    cost = {"roles": frozenset({"cost"}), "phase": "run", "pressures": frozenset({"tight", "middle"})}
    assert faults(plant, an_answer("worse", **cost), an_answer("better", **cost)) == ()


@pytest.mark.parametrize(
    ("forward", "backward", "said"),
    [
        ({"verdict": "neutral"}, {"verdict": "neutral"}, "neutral, not worse"),
        ({}, {"verdict": "worse"}, "swapped: worse, not better"),
        ({"verdict": "worse"}, {"verdict": "neutral"}, "worse, and swapped neutral"),
        ({"roles": frozenset({"outcome"})}, {}, "no cost was named"),
        ({"phase": "other"}, {}, "phase other, not run"),
        ({"phase": ""}, {}, "phase not told, not run"),
        ({"pressures": frozenset({"middle"})}, {}, "not seen under tight pressure"),
        ({}, {"pressures": frozenset({"tight", "no"})}, "swapped: seen under no pressure"),
    ],
)
def test_each_way_of_being_wrong_is_a_fault(
    forward: dict[str, Any], backward: dict[str, Any], said: str
) -> None:
    """A miss of any kind, in either direction, is told."""
    plant = a_plant(role="cost", phase="run", under=("tight",), not_under=("no",))
    right = {"roles": frozenset({"cost"}), "phase": "run", "pressures": frozenset({"tight"})}
    both = (
        an_answer(**{"verdict": "worse"} | right | forward),
        an_answer(**{"verdict": "better"} | right | backward),
    )
    assert said in faults(plant, *both)


def test_two_answers_that_are_both_allowed_must_still_agree() -> None:
    """A trade-off that is a pure gain when swapped is wrong, although both words are allowed."""
    plant = a_plant(expect=("worse", "trade-off"), reverse=("better", "trade-off"))
    assert faults(plant, an_answer("trade-off"), an_answer("better"))
    assert not faults(plant, an_answer("trade-off"), an_answer("trade-off"))
