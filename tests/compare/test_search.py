"""The directed search draws cells that a grid could have, and the same ones for the same seed."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from exhausters.compare.search import mutate
from exhausters.pressure.levels import PressureLevels
from exhausters.sweep.cell import Cell, EngineSettings
from exhausters.workloads import parse_workload

_START = Cell(workload="bursts", levels=PressureLevels(leave_pages=56))


@given(seed=st.integers(0, 10_000), number=st.integers(0, 7))
def test_equal_seeds_give_equal_mutations_that_can_be_run(seed: int, number: int) -> None:
    """Each is another cell, its workload builds, and it says what is other."""
    first, second = (mutate(_START, Random(seed), number=number) for _ in range(2))
    assert first == second
    if first is not None:
        assert first.cell.id != _START.id
        assert first.changes
        assert parse_workload(first.cell.workload).requests


def test_nearly_every_draw_gives_a_mutation() -> None:
    """A search that mostly drew nothing would say that it tried."""
    assert sum(mutate(_START, Random(seed), number=seed) is not None for seed in range(100)) >= 80


def test_most_mutations_need_no_boot() -> None:
    """Six of eight keep the engine settings, of which each new one boots both builds again."""
    found = [mutate(_START, Random(3), number=number) for number in range(8)]
    booting = [one for one in found if one is not None and one.cell.engine != _START.engine]
    assert len(booting) <= 2


def test_priorities_are_mutated_only_where_they_matter() -> None:
    """Without priority scheduling nobody reads them."""

    def names(cell: Cell) -> set[str]:
        drawn = (mutate(cell, Random(seed), number=0) for seed in range(300))
        return {change.partition("=")[0] for one in drawn if one is not None for change in one.changes}

    assert "priorities" not in names(_START)
    assert "priorities" in names(Cell(workload="bursts", engine=EngineSettings(priority_scheduling=True)))
