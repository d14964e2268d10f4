"""Linear attention in every form in which releases keep states: each slot is accounted for in each."""

from __future__ import annotations

import pytest

from exhausters.engine.settings import HostSettings
from exhausters.errors import UnsupportedSettingError
from exhausters.pressure import PressureLevels
from exhausters.sweep.cell import Cell, EngineSettings
from exhausters.sweep.drain import run_cell
from exhausters.sweep.record import DRAINED, CellResult
from exhausters.sweep.run_options import CHECKED, RunOptions
from exhausters.targets import prepare
from exhausters.worker.host import Host
from exhausters.workloads import parse_workload

pytestmark = pytest.mark.releases

# A tree of its own; slots on the request; on a KV record; the compiled tree core; the newest.
VERSIONS = ("0.5.13", "0.5.18", "0.5.20", "0.5.22", "0.5.23")
_WORKLOAD = "agents:conversations=6,turns=4"


def _engine(*, page: int = 1, overlap: bool = False) -> EngineSettings:
    return EngineSettings(
        model="canary_hybrid_mamba",
        max_total_tokens=4_096,
        max_running_requests=8,
        page_size=page,
        overlap=overlap,
        server_args=(("max_mamba_cache_size", 64),),
    )


def _host(release: str, engine: EngineSettings) -> Host:
    settings = HostSettings(
        engine=engine.engine_keywords(), switches=dict(engine.server_args), model=engine.model
    )
    return Host(prepare(f"release:{release}"), settings)


def _judged(host: Host, engine: EngineSettings, **levels: int) -> CellResult:
    cell = Cell(workload=_WORKLOAD, engine=engine, levels=PressureLevels(held=bool(levels), **levels))
    result: CellResult = host.run(run_cell, cell, parse_workload(_WORKLOAD), RunOptions(passes=(CHECKED,)))
    assert result.judgement is not None
    assert (result.outcome, result.judgement.findings) == (DRAINED, ())
    return result


@pytest.mark.parametrize("release", VERSIONS)
def test_slots_add_up_and_texts_are_right(release: str) -> None:
    """With all slots and with few, states are evicted or kept, none is lost, and every text is right."""
    engine = _engine()
    with _host(release, engine) as host:
        free, held = _judged(host, engine), _judged(host, engine, leave_mamba_slots=8)
    assert (held.metrics["mamba_evicted_slots"] or 0) > (free.metrics["mamba_evicted_slots"] or 0)


@pytest.mark.parametrize("release", ["0.5.22", "0.5.23"])
def test_checkpoints_are_right_where_they_are_written(release: str) -> None:
    """With overlap and pages of 16 tokens, prefixes go on from the checkpoints that forwards wrote."""
    engine = _engine(page=16, overlap=True)
    with _host(release, engine) as host:
        assert _judged(host, engine).metrics["cache_hit_tokens"]


@pytest.mark.parametrize("release", ["0.5.13", "0.5.18", "0.5.20"])
def test_the_overlap_loop_is_refused_where_it_needs_a_gpu(release: str) -> None:
    """What such a release asserts, or quietly changes, is a refusal, and no other loop runs in its place."""
    with pytest.raises(UnsupportedSettingError, match="model=canary_hybrid_mamba: this SGLang"):
        _host(release, _engine(overlap=True))
