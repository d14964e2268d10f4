"""A loss is planted into the newest release, and judged in both directions."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.trust.compare_plants import compare_plants
from benchmarks.trust.plants import choose, load_plants, trust_grid
from benchmarks.trust.results import judge_plant
from benchmarks.trust.trees import tree_of
from exhausters.progress import ShownProgress
from tests.conftest import newest_release

pytestmark = pytest.mark.slow


def test_a_planted_loss_is_worse_and_better_when_swapped(tmp_path: Path) -> None:
    """Wrong victims of eviction: an outcome, where there is pressure, right in either direction; run once."""
    (plant,) = choose(load_plants(), ["evict_wrong_victim"])
    grid = trust_grid(1).select(["agents*"])
    release, said = newest_release(), list[str]()
    with tree_of(release, "test") as tree:
        for _ in range(2):
            compare_plants(
                [plant],
                release=release,
                trees=[tree],
                grid=grid,
                values={},
                folder=tmp_path,
                progress=ShownProgress(Console(file=io.StringIO())),
                say=said.append,
            )
    result = judge_plant(plant, tmp_path / plant.name)
    assert result.faults == ()
    assert (result.forward.verdict, result.backward.verdict) == ("worse", "better")
    assert len(said) == 1
