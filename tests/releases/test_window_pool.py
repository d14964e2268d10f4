"""The window pool of a hybrid model is counted to its total, in every form in which releases keep it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from exhausters.engine.settings import HostSettings
from exhausters.errors import ConservationError
from exhausters.pressure import PressureLevels
from exhausters.sweep.cell import Cell, EngineSettings
from exhausters.sweep.drain import run_cell
from exhausters.sweep.record import DRAINED
from exhausters.sweep.run_options import RunOptions
from exhausters.targets import prepare
from exhausters.worker.host import Host
from exhausters.workloads import parse_workload
from tests.observe_real import scripts_observe

pytestmark = pytest.mark.releases

# One of each form: lengths on the request; on a KV record; by component; the same, counted by SGLang too.
VERSIONS = ("0.5.13", "0.5.18", "0.5.21", "0.5.23")
ENGINES = tuple(
    EngineSettings(model="hybrid_swa", page_size=page_size, overlap=overlap)
    for page_size in (1, 16)
    for overlap in (True, False)
)
# As many tokens for either page size.
LEFT_TOKENS = 896


@pytest.fixture(
    scope="module",
    params=[(version, engine) for version in VERSIONS for engine in ENGINES],
    ids=lambda one: f"{one[0]}-{one[1].label}",
)
def booted(request: pytest.FixtureRequest) -> Iterator[tuple[Host, EngineSettings]]:
    version, engine = request.param
    settings = HostSettings(engine=engine.engine_keywords(), model=engine.model)
    with Host(prepare(f"release:{version}"), settings) as host:
        yield host, engine


def _cell(engine: EngineSettings, workload: str) -> Cell:
    levels = PressureLevels(leave_pages=LEFT_TOKENS // engine.page_size)
    return Cell(workload=workload, levels=levels, engine=engine)


def test_every_step_adds_up(booted: tuple[Host, EngineSettings]) -> None:
    """Under pressure, with retractions, evictions and windows that move on, no step loses a window token."""
    host, engine = booted
    assert "window_pool_unchecked" not in host.facts
    seen = {}
    for workload in ("retraction_storm:requests=24", "agents"):
        cell = _cell(engine, workload)
        result = host.run(run_cell, cell, parse_workload(workload), RunOptions(count_work=False))
        assert result.outcome == DRAINED, result.reason
        seen[workload] = result.metrics
    assert seen["retraction_storm:requests=24"]["retractions"] > 0
    assert seen["agents"]["window_evicted_tokens"] > 0


@pytest.mark.parametrize("plant", ["leak window tokens", "free window tokens twice"])
def test_a_planted_loss_is_found(booted: tuple[Host, EngineSettings], plant: str) -> None:
    """What one page of the window pool is short of, or has too much, is found in that very step."""
    host, engine = booted
    cell = _cell(engine, "agents")
    with pytest.raises(ConservationError, match=rf"^step 20: {engine.page_size} window tokens "):
        host.run(scripts_observe.planted, cell, parse_workload(cell.workload), plant, 20, True)
