"""A sliding window or linear attention on the newest release: each pool is counted, held and felt."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest

from exhausters.engine.settings import HostSettings
from exhausters.errors import UnsupportedSettingError
from exhausters.pressure import PressureLevels
from exhausters.sweep.cell import Cell, EngineSettings
from exhausters.sweep.drain import run_cell
from exhausters.sweep.record import DRAINED, CellResult
from exhausters.sweep.run_options import CHECKED, DECIDE, RunOptions
from exhausters.worker.host import Host
from exhausters.workloads import parse_workload
from tests.conftest import Hosts, newest_release
from tests.sweep_real import scripts_hybrid as scripts

pytestmark = pytest.mark.real

_WORKLOAD = "agents:conversations=6,turns=4"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """One kind of pool: the engine that has it, its level, and how findings call what it has."""

    name: str
    engine: EngineSettings
    level: str
    held: str
    noun: str
    unit: int


def _mamba(*, page: int, overlap: bool, core: str = "default") -> EngineSettings:
    return EngineSettings(
        model="canary_hybrid_mamba",
        max_total_tokens=4_096,
        max_running_requests=8,
        page_size=page,
        overlap=overlap,
        tree_core=core,
        server_args=(("max_mamba_cache_size", 64),),
    )


_PLAIN = _mamba(page=1, overlap=False)
_MAMBA = _Kind(
    name="mamba",
    engine=_PLAIN,
    level="leave_mamba_slots",
    held="held_mamba_slots",
    noun="mamba slots",
    unit=1,
)
_WINDOW = _Kind(
    name="window",
    engine=EngineSettings(model="canary_hybrid_swa", max_total_tokens=4_096, max_running_requests=8),
    level="leave_window_tokens",
    held="held_window_tokens",
    noun="window tokens",
    unit=16,
)
_KINDS = pytest.mark.parametrize("kind", [_WINDOW, _MAMBA], ids=lambda one: one.name)


def _host(hosts: Hosts, engine: EngineSettings) -> Host:
    return hosts.get(
        HostSettings(
            engine=engine.engine_keywords(),
            switches=dict(engine.server_args),
            model=engine.model,
            tree_core=engine.tree_core,
        )
    )


def _run(
    hosts: Hosts,
    engine: EngineSettings,
    *passes: str,
    script: Any = run_cell,
    before: Any = (),
    workload: str = _WORKLOAD,
    **levels: int,
) -> CellResult:
    cell = Cell(workload=workload, engine=engine, levels=PressureLevels(held=bool(levels), **levels))
    options = RunOptions(passes=passes)
    result: CellResult = _host(hosts, engine).run(script, *before, cell, parse_workload(workload), options)
    return result


@pytest.mark.parametrize(
    "engine",
    [
        _PLAIN,
        _mamba(page=16, overlap=True),
        pytest.param(_mamba(page=1, overlap=True), marks=pytest.mark.slow),
        pytest.param(_mamba(page=64, overlap=False), marks=pytest.mark.slow),
        pytest.param(_mamba(page=1, overlap=False, core="python"), marks=pytest.mark.slow),
        pytest.param(_mamba(page=16, overlap=True, core="python"), marks=pytest.mark.slow),
    ],
    ids=lambda one: one.label,
)
def test_nothing_is_lost_and_every_text_is_right(hosts: Hosts, engine: EngineSettings) -> None:
    """States are cached and found again, every slot is accounted for, and no promise is broken."""
    result = _run(hosts, engine, CHECKED)
    assert (result.outcome, result.judgement and result.judgement.findings) == (DRAINED, ())
    assert _host(hosts, engine).facts["mamba_total_slots"] == 64
    for step in result.log:
        cached = step.mamba_evictable_slots + step.mamba_protected_slots
        assert step.mamba_free_slots + cached + step.mamba_in_use_slots == 64
    assert result.metrics["cache_hit_tokens"]
    assert result.metrics["mamba_cached_slots_max"]
    judged = {one.promise: one.judged for one in result.judgement.promises} if result.judgement else {}
    assert min(judged["same text"], judged["conservation"]) > 0


def test_a_state_that_is_not_copied_is_found(hosts: Hosts) -> None:
    """A request that goes on from a prefix without its state has another text: the one kind of finding."""
    result = _run(hosts, _PLAIN, CHECKED, script=scripts.without_state_copies)
    assert result.judgement is not None
    assert {one.promise for one in result.judgement.findings} == {"same text"}


@_KINDS
def test_a_loss_is_found(hosts: Hosts, kind: _Kind) -> None:
    """A unit that is neither free, held, cached nor in use is a finding, once, with its number."""
    result = _run(hosts, kind.engine, CHECKED, script=scripts.with_a_loss, before=(kind.name, kind.unit))
    assert result.judgement is not None
    (finding,) = result.judgement.findings
    assert (finding.promise, finding.cause, finding.steps) == (
        "conservation",
        f"{kind.noun} leaked",
        len(result.log),
    )
    assert f"step 0: {kind.unit} {kind.noun} leaked" in finding.saw


@_KINDS
def test_a_held_level_is_left_at_each_step(hosts: Hosts, kind: _Kind) -> None:
    """Never more than the level is free when a step begins, and all of it comes back."""
    found = _host(hosts, kind.engine).run(scripts.held_level, kind.name, kind.level, 32 * kind.unit)
    assert max(found["left"]) == 32 * kind.unit
    assert found["held"][kind.held] > 0
    assert found["held"]["held_tokens"] == 0
    assert found["flushed"] == found["before"]


@_KINDS
def test_what_is_held_over_a_flush_is_refused(hosts: Hosts, kind: _Kind) -> None:
    """A flush hands out every unit anew: giving held ones back would free them twice: an error."""
    said = _host(hosts, kind.engine).run(scripts.flushed_while_held, kind.name, kind.level)
    assert f"{kind.noun} are free and" in said
    assert "SGLang's cache was flushed" in said


@_KINDS
def test_pressure_is_felt(hosts: Hosts, kind: _Kind) -> None:
    """With less of its own pool more is evicted from it, nothing is lost, and more is computed again."""
    tight = {"window": {"leave_window_tokens": 512}, "mamba": {"leave_mamba_slots": 8}}[kind.name]
    free = _run(hosts, kind.engine, DECIDE, workload="agents")
    held = _run(hosts, kind.engine, DECIDE, workload="agents", **tight)
    assert (free.outcome, held.outcome) == (DRAINED, DRAINED)
    evicted = {"window": "window_evicted_tokens", "mamba": "mamba_evicted_slots"}[kind.name]
    assert (held.metrics[evicted] or 0) > (free.metrics[evicted] or 0)
    assert (held.metrics["recomputed_tokens"] or 0) > (free.metrics["recomputed_tokens"] or 0)


def test_levels_without_their_pool_are_refused(hosts: Hosts) -> None:
    """A level of a pool that the engine has not, or not so large, takes nothing and says so."""
    with pytest.raises(UnsupportedSettingError, match="this engine has no pool of window tokens"):
        _run(hosts, _PLAIN, DECIDE, leave_window_tokens=0)
    with pytest.raises(UnsupportedSettingError, match="leave_mamba_slots=65: the pool has 64 mamba slots"):
        _run(hosts, _PLAIN, DECIDE, leave_mamba_slots=65)


def test_pages_that_no_state_fits_are_refused() -> None:
    """What SGLang asserts about states is a refusal of the settings, before anything is booted."""
    engine = replace(
        _mamba(page=16, overlap=False), server_args=(("mamba_radix_cache_strategy", "no_buffer"),)
    )
    settings = HostSettings(
        engine=engine.engine_keywords(), switches=dict(engine.server_args), model=engine.model
    )
    with pytest.raises(UnsupportedSettingError, match="no_buffer only supports page_size=1"):
        Host(newest_release(), settings)
