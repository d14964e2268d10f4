"""The oracles on the real scheduler: planted breaks are found, and the newest release is not accused."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from exhausters.check.groups import grouped
from exhausters.check.shrink import shrink
from exhausters.engine.settings import HostSettings
from exhausters.pressure.levels import PressureLevels
from exhausters.sweep.cell import Cell, EngineSettings
from exhausters.sweep.drain import run_cell
from exhausters.sweep.grid import load_grid
from exhausters.sweep.record import DRAINED, CellResult, RunRecord
from exhausters.sweep.run_options import CHECKED, DECIDE, IN_ROUNDS, RunOptions
from exhausters.sweep.workers import Workers
from exhausters.targets import prepare
from exhausters.worker.host import Host
from exhausters.worker.protocol import ScriptRef
from exhausters.workloads import parse_workload
from exhausters.workloads.event import ACTIONS
from tests.conftest import Hosts
from tests.oracles import scripts_real as scripts
from tests.scripted.engines import MAIN

_ENGINE = EngineSettings(max_running_requests=32, chunked_prefill_size=128)
# With priorities SGLang may preempt, and then admission is not judged.
_PLAIN = replace(MAIN, engine={**MAIN.engine, "enable_priority_scheduling": False})
_PYTHON = replace(_PLAIN, tree_core="python")
_AGENTS = Cell(workload="agents", engine=_ENGINE)


def judged(host: Host, cell: Cell, *, run_pass: str = CHECKED) -> CellResult:
    result: CellResult = host.run(
        run_cell, cell, parse_workload(cell.workload), RunOptions(passes=(run_pass,))
    )
    return result


def planted(host: Host, plant: str) -> dict[str, Any]:
    """The first finding of each promise, in a run with something planted."""
    result = host.run(scripts.planted, _AGENTS, parse_workload(_AGENTS.workload), plant)
    return {one.promise: one for one in reversed(result.judgement.findings)}


@pytest.mark.real
def test_a_mark_that_stays(hosts: Hosts) -> None:
    """A running batch that stays marked as full beside free rows and pages is found."""
    found = planted(hosts.get(_PLAIN), "mark")
    assert set(found) == {"full flag", "work conservation"}
    assert 20 <= found["full flag"].first_step < 60
    assert found["work conservation"].cause == "marked full"


@pytest.mark.real
def test_requests_that_are_passed_over(hosts: Hosts) -> None:
    """A scheduler that forms no prefill although there is room is found, without any mark."""
    found = planted(hosts.get(_PLAIN), "admission")
    assert set(found) == {"work conservation"}
    assert found["work conservation"].cause == "not marked full"


@pytest.mark.real
@pytest.mark.parametrize("settings", [_PLAIN, _PYTHON], ids=["rust", "python"])
def test_a_lock_that_is_kept(hosts: Hosts, settings: HostSettings) -> None:
    """A lock that nobody gives back is found on either tree core."""
    found = planted(hosts.get(settings), "lock")
    assert set(found) == {"lock ledger"}
    assert found["lock ledger"].first_step >= 30


@pytest.mark.real
def test_a_page_that_is_lost(hosts: Hosts) -> None:
    """A page that nobody has is a finding with its numbers, and neither this run nor the next one crashes."""
    host = hosts.get(_PLAIN)
    found = planted(host, "page")
    assert set(found) == {"conservation"}
    assert found["conservation"].first_step >= 30
    assert "16 KV tokens leaked: free" in found["conservation"].saw
    after = judged(host, _AGENTS)
    assert after.outcome == DRAINED
    assert after.judgement is not None
    assert after.judgement.findings == ()


@pytest.mark.real
def test_a_request_that_is_overtaken(hosts: Hosts) -> None:
    """A queue that is served from its end breaks what first come, first served promises, and nothing else."""
    cell = Cell(workload="shared_prefix", levels=PressureLevels(leave_rows=2), engine=_ENGINE)
    result = hosts.get(_PLAIN).run(scripts.planted, cell, parse_workload(cell.workload), "order")
    assert {one.promise for one in result.judgement.findings} == {"starvation bound"}


@pytest.mark.real
def test_nothing_is_left_of_requests(hosts: Hosts) -> None:
    """On the newest release nothing grows in rounds; a set of ids that does is found, with its place."""
    host, cell = hosts.get(_PLAIN), Cell(workload="bursts:bursts=1", engine=_ENGINE)
    clean = judged(host, cell, run_pass=IN_ROUNDS)
    assert clean.judgement is not None
    assert clean.judgement.findings == ()
    result = host.run(scripts.forgetful, cell, parse_workload(cell.workload))
    (found,) = result.judgement.findings
    assert "1,000 elements of sglang.srt.managers.scheduler.Scheduler.rids_kept (set)" in found.saw


@pytest.mark.real
@pytest.mark.parametrize("levels", [{}, {"leave_pages": 64, "held": True}], ids=str)
@pytest.mark.parametrize("workload", ["disturbed:short_tokens=16,output_tokens=96", "scoring"])
def test_the_newest_release_is_not_accused_when_disturbed(
    hosts: Hosts, workload: str, levels: dict[str, Any]
) -> None:
    """Aborts, pauses and scored prompts raise no finding, and every request that was not aborted ends."""
    cell = Cell(workload=workload, levels=PressureLevels(**levels), engine=_ENGINE)
    result = judged(hosts.get(_PLAIN), cell)
    assert result.outcome == DRAINED, result.reason
    assert result.judgement is not None
    assert result.judgement.findings == ()
    if workload.startswith("disturbed"):
        wanted = {f"{action} {stage}" for action in ACTIONS for stage in ("chunked", "running", "finished")}
        assert wanted <= set(result.provenance["events"])


@pytest.mark.real
@pytest.mark.parametrize("levels", [{}, {"leave_pages": 80}, {"leave_pages": 80, "leave_refs": 0}], ids=str)
@pytest.mark.parametrize("workload", ["agents", "retraction_storm:requests=32"])
def test_the_newest_release_is_not_accused(hosts: Hosts, workload: str, levels: dict[str, int]) -> None:
    """Cells like those of the grid quick raise no finding, and are decided as in a plain pass."""
    cell = Cell(workload=workload, levels=PressureLevels(**levels), engine=_ENGINE)
    host = hosts.get(_PLAIN)
    result = judged(host, cell)
    assert result.outcome == DRAINED
    assert result.judgement is not None
    assert result.judgement.findings == ()
    assert {one.promise: one.judged for one in result.judgement.promises}["work conservation"] > 0
    assert result.log.digest == judged(host, cell, run_pass=DECIDE).log.digest


@pytest.mark.real
def test_preemption_is_not_judged(hosts: Hosts) -> None:
    """An engine that may hold requests back on purpose is not accused of it, and the answer says why."""
    result = judged(hosts.get(MAIN), _AGENTS)
    assert result.judgement is not None
    reasons = {one.promise: one.not_judged for one in result.judgement.promises}
    assert "enable_priority_preemption" in reasons["work conservation"]


@pytest.mark.releases
def test_the_fourth_of_four_cold_prompts(tmp_path: Path) -> None:
    """On 0.5.22 the stock grid shows a request that waits beside a free row; its script passes on 0.5.23."""
    cell = load_grid("check").select(["*requests=4,*one_shot"]).cells[0]
    old, new = prepare("release:0.5.22"), prepare("release:0.5.23")
    with Workers(limit=2) as owner, owner.lease() as lease:
        results = [judged(lease.host(target, cell.engine), cell) for target in (old, new)]
        groups = grouped([RunRecord(cell=cell, target=old.name, result=results[0])])
        assert [one.promise for one in groups] == ["work conservation", "full flag"]
        assert groups[0].finding.rids == ("long-3",)
        assert results[1].judgement is not None
        assert results[1].judgement.findings == ()
        file = tmp_path / "test_work_conservation.py"
        shrunk = shrink(groups[0], old, lease, file, max_runs=120)
        assert shrunk is not None
        assert shrunk.is_proven
        assert re.search(r"^def script\(t\):$", shrunk.text, re.MULTILINE)
        ref = ScriptRef(module="__main__", qualname="script", file=str(file), import_root=str(tmp_path))
        lease.host(new, cell.engine).run(ref)
