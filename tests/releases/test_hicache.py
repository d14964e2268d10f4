"""HiCache comes up in every supported release, and what comes back from the host is right in each."""

from __future__ import annotations

import pytest

from exhausters.engine.settings import HostSettings
from exhausters.sweep.cell import Cell, EngineSettings
from exhausters.sweep.drain import run_cell
from exhausters.sweep.record import DRAINED, CellResult
from exhausters.sweep.run_options import CHECKED, RunOptions
from exhausters.targets import SUPPORTED_RELEASES, prepare
from exhausters.worker.host import Host
from exhausters.workloads import parse_workload

_SWITCHES = {"enable_hierarchical_cache": True, "hicache_ratio": 2.0, "hicache_write_policy": "write_through"}


@pytest.mark.releases
@pytest.mark.parametrize("release", SUPPORTED_RELEASES)
def test_it_comes_up_and_loads_back(release: str) -> None:
    """Load-backs happen, both tiers add up after every step, and the canary's text is right."""
    engine = EngineSettings(
        max_total_tokens=1_024, model="canary", server_args=tuple(sorted(_SWITCHES.items()))
    )
    settings = HostSettings(engine=engine.engine_keywords(), switches=_SWITCHES, model="canary")
    cell = Cell(workload="agents:conversations=8,turns=4", engine=engine)
    with Host(prepare(f"release:{release}"), settings) as host:
        result: CellResult = host.run(
            run_cell, cell, parse_workload(cell.workload), RunOptions(passes=(CHECKED,))
        )
    assert result.judgement is not None
    assert (result.outcome, result.judgement.findings) == (DRAINED, ())
    assert (result.metrics["loaded_back_tokens"] or 0) > 0
