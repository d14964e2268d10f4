"""What requests ask for runs in every supported release: each is reached there, and no promise is broken."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from exhausters.engine.settings import HostSettings
from exhausters.pressure import PressureLevels
from exhausters.sweep.cell import Cell, EngineSettings
from exhausters.sweep.drain import run_cell
from exhausters.sweep.record import DRAINED, CellResult
from exhausters.sweep.run_options import CHECKED, RunOptions
from exhausters.targets import SUPPORTED_RELEASES, prepare
from exhausters.worker.host import Host
from exhausters.workloads import parse_workload

pytestmark = [pytest.mark.releases, pytest.mark.parametrize("release", SUPPORTED_RELEASES)]

_SWITCHES: Mapping[str, Any] = {
    "enable_lora": True,
    "max_loras_per_batch": 4,
    "enable_streaming_session": True,
}
_PREEMPTING: Mapping[str, Any] = {"priority_scheduling_preemption_threshold": 0}


def _run(host: Host, engine: EngineSettings, workload: str, **levels: int) -> CellResult:
    cell = Cell(workload=workload, engine=engine, levels=PressureLevels(held=bool(levels), **levels))
    result: CellResult = host.run(run_cell, cell, parse_workload(workload), RunOptions(passes=(CHECKED,)))
    assert result.judgement is not None
    assert (result.outcome, result.judgement.findings) == (DRAINED, ()), workload
    return result


def _host(release: str, engine: EngineSettings) -> Host:
    settings = HostSettings(
        engine=engine.engine_keywords(), switches=dict(engine.server_args), model=engine.model
    )
    return Host(prepare(f"release:{release}"), settings)


def test_each_is_reached(release: str) -> None:
    """Slots bound the adapters of a batch, grammars are waited for, sessions keep tokens, hits are cut."""
    engine = EngineSettings(model="canary", max_total_tokens=8_192, server_args=tuple(_SWITCHES.items()))
    with _host(release, engine) as host:
        adapters = _run(host, engine, "shared_prefix:adapters=6,requests=24", leave_lora_slots=2)
        grammars = _run(host, engine, "shared_prefix:grammar_steps=4,requests=16")
        plain = _run(host, engine, "agents:conversations=4,sessions=plain")
        streaming = _run(host, engine, "agents:conversations=4,sessions=streaming")
        scored = _run(host, engine, "bursts:burst_requests=10,bursts=2,logprobs_from=100")
    assert adapters.metrics["adapters_per_batch_max"] == 2
    assert (grammars.metrics["compiling_steps"] or 0) > 0
    assert plain.metrics["session_tokens_max"] == 0
    assert (streaming.metrics["session_tokens_max"] or 0) > 0
    assert (scored.metrics["recomputed_tokens"] or 0) > 0


def test_the_urgent_preempt(release: str) -> None:
    """Somebody is preempted, and exactly what that threw away is computed again."""
    engine = EngineSettings(
        model="canary",
        max_running_requests=4,
        priority_scheduling=True,
        server_args=tuple(_PREEMPTING.items()),
    )
    with _host(release, engine) as host:
        result = _run(host, engine, "shared_prefix:priorities=4,requests=24")
    assert result.metrics["recomputed_tokens"] == result.metrics["preempted_tokens"]
    assert (result.metrics["preemptions"] or 0) > 0
