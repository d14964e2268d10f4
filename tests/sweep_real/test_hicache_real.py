"""HiCache on the newest release: what moves is counted, nothing is lost, and what comes back is right."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exhausters.engine.settings import HostSettings
from exhausters.pressure import PressureLevels
from exhausters.sweep.cell import Cell, EngineSettings
from exhausters.sweep.drain import run_cell
from exhausters.sweep.execute import LocalExecutor
from exhausters.sweep.record import DRAINED, UNSUPPORTED, CellResult
from exhausters.sweep.run_options import CHECKED, DECIDE, RunOptions
from exhausters.sweep.runner import SweepOptions, sweep
from exhausters.worker.host import Host
from exhausters.workloads import parse_workload
from tests.conftest import Hosts, newest_release
from tests.sweep.samples import a_grid
from tests.sweep_real import scripts_hicache as scripts

pytestmark = pytest.mark.real

_WORKLOAD = "agents:conversations=8,turns=4"
_POLICIES = ("write_through", "write_back", "write_through_selective")


def _engine(policy: str = "write_through", *, core: str = "default", model: str = "canary") -> EngineSettings:
    switches = {"enable_hierarchical_cache": True, "hicache_ratio": 2.0, "hicache_write_policy": policy}
    return EngineSettings(
        max_total_tokens=1_024, model=model, tree_core=core, server_args=tuple(switches.items())
    )


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
    hosts: Hosts, engine: EngineSettings, *passes: str, script: object = run_cell, **levels: int
) -> CellResult:
    cell = Cell(workload=_WORKLOAD, engine=engine, levels=PressureLevels(held=bool(levels), **levels))
    options = RunOptions(passes=passes)
    result: CellResult = _host(hosts, engine).run(script, cell, parse_workload(_WORKLOAD), options)
    return result


@pytest.mark.parametrize("core", ["rust", "python"])
@pytest.mark.parametrize("policy", _POLICIES)
def test_nothing_is_lost_and_every_text_is_right(hosts: Hosts, policy: str, core: str) -> None:
    """Prefixes go to the host and come back, all pools add up after each step, and no promise is broken."""
    engine = _engine(policy, core=core)
    result = _run(hosts, engine, CHECKED)
    assert (result.outcome, result.judgement and result.judgement.findings) == (DRAINED, ())
    total = _host(hosts, engine).facts["host_total_tokens"]
    assert total == 2 * 1_024 + 16
    for step in result.log:
        assert step.host_free_tokens + step.host_cached_tokens == total
    for name in ("backed_up_tokens", "loaded_back_tokens"):
        assert result.metrics[name] == sum(getattr(step, name) for step in result.log) > 0
    judged = {one.promise: one.judged for one in result.judgement.promises} if result.judgement else {}
    assert min(judged["same text"], judged["conservation"], judged["lock ledger"]) > 0


def test_the_text_is_wrong_without_the_copies(hosts: Hosts) -> None:
    """Copies that copy nothing are found by the canary: its fingerprints travel with the KV."""
    result = _run(hosts, _engine(), CHECKED, script=scripts.without_copies)
    assert result.judgement is not None
    assert {one.promise for one in result.judgement.findings} == {"same text"}


@pytest.mark.parametrize("core", ["rust", "python"])
def test_a_lost_host_page_is_found(hosts: Hosts, core: str) -> None:
    """A page of the host that is neither free, held nor on a node is a finding, once, with its number."""
    result = _run(hosts, _engine(core=core), CHECKED, script=scripts.with_a_lost_page)
    assert result.judgement is not None
    (finding,) = result.judgement.findings
    assert (finding.promise, finding.cause, finding.steps) == (
        "conservation",
        "host tokens leaked",
        len(result.log),
    )
    assert "step 0: 16 host tokens leaked" in finding.saw


def test_both_cores_move_the_same(hosts: Hosts) -> None:
    """What is backed up, loaded back and freed, and when, is the same with the compiled core."""
    rust, python = (_run(hosts, _engine(core=core), DECIDE) for core in ("rust", "python"))
    assert rust.log.digest == python.log.digest


def test_waits_are_modelled(hosts: Hosts) -> None:
    """Steps that load back are longer by their wait, and under write-back those that back up, no others."""
    through, back = (_run(hosts, _engine(policy), DECIDE).log for policy in ("write_through", "write_back"))
    for step in (*through, *back):
        assert (step.load_back_wait_ns > 0) == (step.loaded_back_tokens > 0)
        assert step.forward_ns > step.load_back_wait_ns + step.backup_wait_ns
    assert not any(step.backup_wait_ns for step in through)
    assert all((step.backup_wait_ns > 0) == (step.backed_up_tokens > 0) for step in back)


@pytest.mark.parametrize("policy", _POLICIES)
def test_without_a_host_page_nothing_is_backed_up(hosts: Hosts, policy: str) -> None:
    """With no page of the host left, all requests end, nothing moves, and every page is given back."""
    found = _host(hosts, _engine(policy)).run(scripts.nothing_left, 5, 320)
    assert found == {"held": 2_064, "moved": (0, 0), "free": (2_064, 2_064)}


def test_what_is_held_over_a_flush_is_refused(hosts: Hosts) -> None:
    """A flush hands out every host page anew: giving held ones back would free them twice: an error."""
    said = _host(hosts, _engine()).run(scripts.flushed_while_held)
    assert "2064 host tokens are free and 2048 held, of 2064: SGLang's cache was flushed" in said


def test_fewer_host_pages_are_felt(hosts: Hosts) -> None:
    """With less room on the host less comes back, and more is computed again."""
    free, tight = (_run(hosts, _engine("write_back"), DECIDE, **one) for one in ({}, {"leave_host_pages": 8}))
    assert (free.outcome, tight.outcome) == (DRAINED, DRAINED)
    assert (tight.metrics["loaded_back_tokens"] or 0) < (free.metrics["loaded_back_tokens"] or 0)
    assert (tight.metrics["recomputed_tokens"] or 0) > (free.metrics["recomputed_tokens"] or 0)
    assert all(step.host_held_tokens > 0 for step in tight.log)


def test_what_cannot_run_is_unsupported() -> None:
    """A backend without a stand-in, and a host level without HiCache, are outcomes with their reason."""
    grids = (
        a_grid(server_args={"enable_hierarchical_cache": [True], "hicache_io_backend": ["kernel"]}),
        a_grid(leave_host_pages=[0]),
    )
    options = SweepOptions(run=RunOptions(count_work=False))
    results = [
        sweep(newest_release(), grid, options, executor=LocalExecutor(workers=1))[0].result for grid in grids
    ]
    assert {one.outcome for one in results} == {UNSUPPORTED}
    assert "there is no stand-in" in results[0].reason
    assert "this engine has no cache in host memory" in results[1].reason


def test_a_window_comes_back_right(hosts: Hosts) -> None:
    """The hybrid canary has the right text too: window slots are copied with those of the full layer."""
    result = _run(hosts, replace(_engine(), model="canary_hybrid_swa", max_total_tokens=2_048), CHECKED)
    assert (result.outcome, result.judgement and result.judgement.findings) == (DRAINED, ())
    assert (result.metrics["loaded_back_tokens"] or 0) > 0
