"""Both engines of a disaggregated pair come up in every supported release, and nothing is lost in either."""

from __future__ import annotations

import pytest

from exhausters.engine.settings import HostSettings
from exhausters.sweep.drain import run_cell
from exhausters.sweep.joined_pair import joined_cell
from exhausters.sweep.record import ABORTED, CellResult
from exhausters.sweep.run_options import CHECKED, RunOptions
from exhausters.targets import SUPPORTED_RELEASES, prepare
from exhausters.worker.host import Host
from exhausters.workloads import parse_workload

_WORKLOAD = "shared_prefix:fail_every=8,transfer_steps=3"


@pytest.mark.releases
@pytest.mark.parametrize("role", ["prefill", "decode"])
@pytest.mark.parametrize("release", SUPPORTED_RELEASES)
def test_it_comes_up_and_drains(release: str, role: str) -> None:
    """Every eighth transfer fails, all others arrive, and all pools add up after every step."""
    cell = joined_cell(role, workload=_WORKLOAD, max_total_tokens=2_048, max_running_requests=16)
    settings = HostSettings(engine=cell.engine.engine_keywords(), switches=dict(cell.engine.server_args))
    with Host(prepare(f"release:{release}"), settings) as host:
        result: CellResult = host.run(
            run_cell, cell, parse_workload(_WORKLOAD), RunOptions(passes=(CHECKED,))
        )
    assert result.judgement is not None
    assert (result.outcome, result.judgement.findings) == (ABORTED, ())
    assert result.metrics["failed_transfers"] == result.metrics["unfinished_requests"] == 8
