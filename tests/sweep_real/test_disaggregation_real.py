"""Each engine of a disaggregated pair on the newest release: drained, nothing lost, stalls explained."""

from __future__ import annotations

from typing import Any

import pytest

from exhausters.engine.settings import HostSettings
from exhausters.pressure import PressureLevels
from exhausters.sweep.cell import Cell, EngineSettings
from exhausters.sweep.drain import run_cell
from exhausters.sweep.record import ABORTED, DRAINED, STALLED, CellResult
from exhausters.sweep.run_options import CHECKED, DECIDE, DrainLimits, RunOptions
from exhausters.worker.host import Host
from exhausters.workloads import parse_workload
from tests.conftest import Hosts
from tests.sweep_real import scripts_disaggregation as scripts

pytestmark = pytest.mark.real

_WORKLOAD = "shared_prefix:requests=16,transfer_steps=3"
_ROLES = ("prefill", "decode")
# One loop of each role by default; the others need boots of their own.
_ENGINES = [
    ("prefill", True),
    ("decode", False),
    pytest.param("prefill", False, marks=pytest.mark.slow),
    pytest.param("decode", True, marks=pytest.mark.slow),
]
_both = pytest.mark.parametrize(("role", "overlap"), _ENGINES)
_each = pytest.mark.parametrize(("role", "overlap"), _ENGINES[:2])


def _engine(role: str, overlap: bool) -> EngineSettings:
    switches: dict[str, Any] = {"disaggregation_mode": role}
    if role == "decode":
        # SGLang's default, 512 tokens for each request, lets two run in this pool.
        switches["num_reserved_decode_tokens"] = 16
    return EngineSettings(
        max_total_tokens=2_048,
        max_running_requests=16,
        overlap=overlap,
        server_args=tuple(switches.items()),
    )


def _host(hosts: Hosts, role: str, overlap: bool) -> Host:
    engine = _engine(role, overlap)
    return hosts.get(HostSettings(engine=engine.engine_keywords(), switches=dict(engine.server_args)))


def _run(hosts: Hosts, role: str, overlap: bool, workload: str, one_pass: str, **levels: int) -> CellResult:
    cell = Cell(
        workload=workload,
        engine=_engine(role, overlap),
        levels=PressureLevels(held=bool(levels), **levels),
    )
    options = RunOptions(passes=(one_pass,), limits=DrainLimits(stall_steps=16))
    result: CellResult = _host(hosts, role, overlap).run(run_cell, cell, parse_workload(workload), options)
    return result


@_both
def test_it_drains_and_nothing_is_lost(hosts: Hosts, role: str, overlap: bool) -> None:
    """Every request is transferred once, in its three steps, all pools add up, and no promise is broken."""
    result = _run(hosts, role, overlap, _WORKLOAD, CHECKED)
    assert (result.outcome, result.judgement and result.judgement.findings) == (DRAINED, ())
    facts, requests = _host(hosts, role, overlap).facts, parse_workload(_WORKLOAD).requests
    for step in result.log:
        cached = step.evictable_tokens + step.protected_tokens
        assert step.free_tokens + cached + step.in_use_tokens == facts["max_total_tokens"]
        assert step.transfer_tokens <= step.in_use_tokens
        assert step.free_prealloc_slots <= 32 - step.transferring
    arrived = [rid for step in result.log for rid in step.arrived_rids]
    assert sorted(arrived) == sorted(one.rid for one in requests)
    assert result.metrics["transferred_tokens"] == sum(one.prompt_tokens for one in requests)
    assert result.metrics["transfer_wait_steps"] == 3 * len(requests)
    owed = 1 if role == "prefill" else None
    assert result.metrics["output_tokens"] == sum(owed or one.output_tokens for one in requests)


@_each
def test_the_same_run_decides_the_same(hosts: Hosts, role: str, overlap: bool) -> None:
    """Transfers go by steps and by nothing else: two runs have one digest."""
    first, second = (_run(hosts, role, overlap, _WORKLOAD, DECIDE) for _ in range(2))
    assert first.log.digest == second.log.digest


@_each
def test_a_stalled_transfer_is_named(hosts: Hosts, role: str, overlap: bool) -> None:
    """A run that stalls on a transfer says on whose, and that the transfer engine keeps it from going on."""
    result = _run(hosts, role, overlap, f"{_WORKLOAD},stall_every=8", DECIDE)
    assert (result.outcome, result.provenance["stalled_by"]) == (STALLED, "transfer")
    assert "2 of them stalled by the transfer engine (first: shared-7)" in result.reason
    assert result.log.steps[-1].transferring == 2
    assert result.metrics["unfinished_requests"] == 2


@_each
def test_without_a_slot_nothing_begins(hosts: Hosts, role: str, overlap: bool) -> None:
    """With no slot left the run stalls in front of the transfers, and says so."""
    result = _run(hosts, role, overlap, _WORKLOAD, DECIDE, leave_prealloc_slots=0)
    assert (result.outcome, result.provenance["stalled_by"]) == (STALLED, "preallocation")
    assert all((step.transferring, step.free_prealloc_slots) == (0, 0) for step in result.log)
    assert {step.held_prealloc_slots for step in result.log} == {32}


@_each
def test_failed_transfers_are_lost_requests(hosts: Hosts, role: str, overlap: bool) -> None:
    """Every fourth transfer fails: so many requests are lost, the others end, and no promise is broken."""
    result = _run(hosts, role, overlap, f"{_WORKLOAD},fail_every=4", CHECKED)
    assert (result.outcome, result.judgement and result.judgement.findings) == (ABORTED, ())
    assert (result.metrics["failed_transfers"], result.metrics["unfinished_requests"]) == (4, 4)
    assert "4 because their transfer failed: shared-3, shared-7" in result.reason


@_both
def test_a_failed_transfer_frees_everything(hosts: Hosts, role: str, overlap: bool) -> None:
    """Pages, row and slot of a request whose transfer fails in mid-flight are free again."""
    found = _host(hosts, role, overlap).run(scripts.one_fails)
    assert found["after"] == found["before"]
    assert (found["failed"], found["arrived"]) == (("bad",), ["good"])
    assert found["seen"][-1] == "transferring"


@_both
def test_an_aborted_transfer_frees_everything(hosts: Hosts, role: str, overlap: bool) -> None:
    """The same of requests that are aborted in transfer and in the handshake; none counts as failed."""
    found = _host(hosts, role, overlap).run(scripts.aborted)
    during = found["during"]
    assert (during["bootstrapping"], during["transferring"]) == (["unanswered"], ["in-transfer"])
    assert (found["after"], found["failed"]) == (found["before"], ())


@_each
def test_a_script_moves_transfers(hosts: Hosts, role: str, overlap: bool) -> None:
    """A script stalls a transfer, lets it go on, and lets another arrive at once."""
    found = _host(hosts, role, overlap).run(scripts.stalls_and_goes_on)
    assert found == {
        "stalled": ("stalls",),
        "status": ("transferring", "transferring"),
        "arrived": ["stalls", "slow"],
        "after": ("finished", "finished"),
    }


@_each
@pytest.mark.parametrize("level", ["leave_pages", "leave_prealloc_slots", "leave_rows"])
def test_what_is_blocked_goes_on(hosts: Hosts, role: str, overlap: bool, level: str) -> None:
    """Without enough pages, slots or rows nothing is transferred; after the release everything is."""
    left = 3 if level == "leave_pages" else 0
    found = _host(hosts, role, overlap).run(scripts.blocked, level, left)
    assert found["under"]["transferring"] == []
    # Pages and rows keep a prefill engine's requests in its waiting queue, with a slot each.
    waits = role == "decode" or level == "leave_prealloc_slots"
    assert found["under"]["preallocating"] == (["r0", "r1", "r2"] if waits else [])
    assert found["arrived"] == ["r0", "r1", "r2"]
    assert found["after"]["slots"] == 32


@_each
def test_nothing_begins_before_the_other_side_answers(hosts: Hosts, role: str, overlap: bool) -> None:
    """For five steps of handshake nothing is reserved or computed."""
    found = _host(hosts, role, overlap).run(scripts.unanswered)
    assert found["seen"][:5] == [(["late"], True)] * 5
    assert found["seen"][5][0] == []
    assert found["arrived"] == ["late"]


def test_retracted_requests_come_back(hosts: Hosts) -> None:
    """A decode engine backs retracted requests up to host memory: both pools add up, and no token is lost."""
    workload = "retraction_storm:transfer_steps=2"
    result = _run(hosts, "decode", False, workload, CHECKED, leave_pages=8)
    assert result.judgement is not None
    assert result.judgement.findings == ()
    assert (result.metrics["retractions"] or 0) > 0
    assert max(step.host_cached_tokens for step in result.log) > 0
    assert result.metrics["unfinished_requests"] == result.metrics["memory_aborts"]
