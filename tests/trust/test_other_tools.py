"""The rules of asv and pytest-benchmark, by their own code."""

from __future__ import annotations

import random

import pytest

from benchmarks.trust.other_tools import asv_says, pytest_benchmark_says


def _samples(factor: float, *, noise: float = 0.01) -> dict[str, tuple[list[float], list[float]]]:
    draw = random.Random(3)
    base, head = ([size * (1 + draw.gauss(0, noise)) for _ in range(10)] for size in (1.0, factor))
    return {"cell": (base, head)}


@pytest.mark.parametrize(
    ("factor", "asv", "mean"), [(1.3, "worse", "worse"), (1.0, "same", "same"), (0.7, "better", "same")]
)
def test_each_has_the_words_that_it_has(factor: float, asv: str, mean: str) -> None:
    """A large loss is seen by both; a gain by asv alone."""
    assert (asv_says(_samples(factor)), pytest_benchmark_says(_samples(factor))) == (asv, mean)


def test_asv_needs_more_than_a_factor() -> None:
    """Medians that differ by more than 1.1 are the same to it where the samples scatter widely."""
    assert asv_says(_samples(1.15, noise=0.4)) == "same"


def test_a_loss_in_one_cell_and_a_gain_in_another_are_both_told() -> None:
    """It lists cells one by one."""
    assert asv_says({"a": _samples(1.3)["cell"], "b": _samples(0.7)["cell"]}) == "trade-off"
