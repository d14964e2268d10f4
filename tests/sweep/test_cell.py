"""Cells have stable ids; engine settings are checked where they are made."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exhausters.errors import GridError
from exhausters.pressure.levels import PressureLevels
from exhausters.sweep.cell import TREE_CORES, Cell, EngineSettings

_levels = st.one_of(st.none(), st.integers(0, 9))
_cells = st.builds(
    Cell,
    workload=st.sampled_from(["bursts", "agents:seed=3", "agents:seed=3,turns=1"]),
    levels=st.builds(
        PressureLevels,
        leave_pages=_levels,
        leave_refs=_levels,
        leave_rows=_levels,
        held=st.booleans(),
    ),
    engine=st.builds(
        EngineSettings,
        page_size=st.sampled_from([1, 16]),
        policy=st.sampled_from(["fcfs", "lpm"]),
        chunked_prefill_size=st.sampled_from([-1, 256]),
        mixed_chunk=st.booleans(),
        overlap=st.booleans(),
        tree_core=st.sampled_from(TREE_CORES),
        radix_cache=st.booleans(),
        max_total_tokens=st.sampled_from([4096, 8192]),
    ),
)


def test_ids_are_stable() -> None:
    """Ids are part of what is stored and compared: a change of their form loses every history."""
    assert Cell(workload="bursts").id == "bursts/p16/pages=all,refs=all,rows=all/one_shot"
    cell = Cell(
        workload="agents:seed=3",
        levels=PressureLevels(leave_pages=8, leave_rows=0, held=True),
        engine=EngineSettings(page_size=1, overlap=False, policy="lpm"),
    )
    assert cell.id == "agents:seed=3/p1,policy=lpm,overlap=false/pages=8,refs=all,rows=0/held"


@given(_cells, _cells)
def test_ids_are_equal_for_equal_cells_only(one: Cell, other: Cell) -> None:
    """Two cells have one id if and only if they are equal."""
    assert (one.id == other.id) == (one == other)


@pytest.mark.parametrize("name", [one.name for one in fields(EngineSettings)])
@pytest.mark.parametrize("value", [None, "", 1.5, -2, ["fcfs"]])
def test_bad_settings_are_named(name: str, value: Any) -> None:
    """No setting takes a value of the wrong type or out of range; the error names both."""
    if value == getattr(EngineSettings(), name):
        pytest.skip("the default")
    with pytest.raises(GridError) as caught:
        EngineSettings(**{name: value})
    assert f"{name}={value!r}" in str(caught.value)


def test_engine_keywords_say_the_same() -> None:
    """What is switched on here is switched off there where SGLang's keyword is a negation."""
    keywords = EngineSettings(overlap=False, radix_cache=False, mixed_chunk=True).engine_keywords()
    assert keywords["disable_overlap_schedule"] is True
    assert keywords["disable_radix_cache"] is True
    assert keywords["enable_mixed_chunk"] is True
    assert EngineSettings().engine_keywords()["disable_overlap_schedule"] is False
