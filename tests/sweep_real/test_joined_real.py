"""Both engines of a disaggregated pair on one virtual clock: one feeds the other, and holds it back."""

from __future__ import annotations

import pytest

from exhausters.engine.settings import HostSettings
from exhausters.errors import UsageError
from exhausters.observe.transfer_time import TransferTime
from exhausters.sweep.cell import Cell
from exhausters.sweep.joined_pair import DECODE_ROLE, PREFILL_ROLE, JoinedResult, joined_cell, run_joined
from exhausters.sweep.record import DRAINED, STALLED
from exhausters.worker.host import Host
from exhausters.workloads import parse_workload
from tests.conftest import Hosts

pytestmark = pytest.mark.real

_WORKLOAD = "shared_prefix:requests=16"


def _cell(role: str, **levels: int) -> Cell:
    # The loops that test_disaggregation_real.py boots by default.
    return joined_cell(
        role,
        workload=_WORKLOAD,
        levels=levels,
        max_total_tokens=2_048,
        max_running_requests=16,
        overlap=role == PREFILL_ROLE,
        reserved_tokens=16,
    )


def _host(hosts: Hosts, role: str) -> Host:
    engine = _cell(role).engine
    return hosts.get(HostSettings(engine=engine.engine_keywords(), switches=dict(engine.server_args)))


def _run(hosts: Hosts, **decode_levels: int) -> JoinedResult:
    return run_joined(
        _host(hosts, PREFILL_ROLE),
        _host(hosts, DECODE_ROLE),
        parse_workload(_WORKLOAD),
        prefill_cell=_cell(PREFILL_ROLE),
        decode_cell=_cell(DECODE_ROLE, **decode_levels),
    )


def test_what_one_prefills_the_other_decodes(hosts: Hosts) -> None:
    """Every request is prefilled, transferred and decoded; its KV comes when its time on the link is over."""
    result, requests = _run(hosts), parse_workload(_WORKLOAD).requests
    assert (result.outcome, result.reason) == (DRAINED, "")
    assert result.decode.metrics["output_tokens"] == sum(one.output_tokens for one in requests)
    prefilled = {rid: step.end_ns for step in result.prefill.log for rid in step.rids}
    begins = {rid: step.end_ns - step.forward_ns for step in result.decode.log for rid in step.arrived_rids}
    assert set(prefilled) == set(begins) == {one.rid for one in requests}
    link = TransferTime()
    for one in requests:
        assert begins[one.rid] >= prefilled[one.rid] + link.transfer_ns(one.prompt_tokens)


def test_the_same_run_decides_the_same(hosts: Hosts) -> None:
    """Two processes and a third between them: two runs have the same two digests."""
    first, second = _run(hosts), _run(hosts)
    assert first.prefill.log.digest == second.prefill.log.digest
    assert first.decode.log.digest == second.decode.log.digest


def test_a_full_decode_engine_holds_the_other_back(hosts: Hosts) -> None:
    """With fewer pages in the decode engine the prefill engine's requests wait longer for their answer."""
    free, tight = _run(hosts), _run(hosts, leave_pages=40)
    assert (free.outcome, tight.outcome) == (DRAINED, DRAINED)
    waits = [one.prefill.metrics["time_to_first_token_p50_seconds"] or 0 for one in (free, tight)]
    assert waits[0] < waits[1]


def test_a_pair_that_stalls_is_stalled(hosts: Hosts) -> None:
    """A decode engine without a slot answers nobody: both wait, and the run says so."""
    result = _run(hosts, leave_prealloc_slots=0)
    assert (result.outcome, result.decode.log.steps[-1].preallocating) == (STALLED, 16)
    assert "not idle: prefill and decode" in result.reason


def test_another_role_is_refused(hosts: Hosts) -> None:
    """Two prefill engines are no pair."""
    host, cell = _host(hosts, PREFILL_ROLE), _cell(PREFILL_ROLE)
    with pytest.raises(UsageError, match="role='prefill': expected an engine that is booted with"):
        run_joined(host, host, parse_workload(_WORKLOAD), prefill_cell=cell, decode_cell=cell)
