"""Two ranks of the newest release: two real schedulers in two processes, in lockstep."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import psutil
import pytest

from exhausters.engine.settings import HostSettings
from exhausters.errors import HostError, RankFailedError, RanksDisagreeError
from exhausters.pressure import PressureLevels
from exhausters.sweep.cell import Cell, EngineSettings
from exhausters.sweep.drain import run_cell
from exhausters.sweep.record import DRAINED, CellResult
from exhausters.sweep.run_options import CHECKED, RunOptions
from exhausters.workloads import parse_workload
from tests.conftest import Hosts
from tests.ranks import scripts
from tests.worker.footprint import wait_until

pytestmark = pytest.mark.real

_WORKLOAD = "agents:conversations=6,turns=3"
_TP = {"tp_size": 2}


def _engine(ranks: dict[str, object], *, overlap: bool = True) -> EngineSettings:
    return EngineSettings(
        max_total_tokens=2_048, overlap=overlap, model="canary", server_args=tuple(ranks.items())
    )


def _settings(engine: EngineSettings) -> HostSettings:
    return HostSettings(
        engine=engine.engine_keywords(), switches=dict(engine.server_args), model=engine.model
    )


def _run(
    hosts: Hosts, engine: EngineSettings, *passes: str, script: object = run_cell, **levels: int
) -> CellResult:
    cell = Cell(workload=_WORKLOAD, engine=engine, levels=PressureLevels(held=bool(levels), **levels))
    options = RunOptions(passes=passes)
    host = hosts.get(_settings(engine))
    result: CellResult = host.run(script, cell, parse_workload(_WORKLOAD), options)
    return result


_LEVELS = {"leave_pages": 48, "leave_refs": 4, "leave_rows": 3}


@pytest.mark.parametrize(("overlap", "levels"), [(True, {}), (True, _LEVELS), (False, _LEVELS)])
def test_tensor_parallel_ranks_decide_alike(hosts: Hosts, overlap: bool, levels: dict[str, int]) -> None:
    """The second rank's log is the first's, under pressure too, and one rank alone decides the same."""
    result = _run(hosts, _engine(_TP, overlap=overlap), CHECKED, **levels)
    assert result.judgement is not None
    assert result.judgement.findings == ()
    assert result.provenance["ranks"] == {"tp_size": 2, "pp_size": 1, "dp_size": 1}
    assert [log.digest for log in result.rank_logs] == [result.log.digest]
    assert any(step.held_tokens for step in result.log) == bool(levels)
    judged = {one.promise: one.judged for one in result.judgement.promises}
    assert judged["ranks agree"] == len(result.log)
    if not overlap:
        return
    alone = _run(hosts, _engine({}, overlap=overlap), CHECKED, **levels)
    assert (alone.log.digest, alone.rank_logs) == (result.log.digest, ())
    assert (alone.outcome, alone.metrics) == (result.outcome, result.metrics)


def test_stages_decide_alike(hosts: Hosts) -> None:
    """The second stage's log is the first's, as far as it got, and the text that comes out of it is right."""
    result = _run(hosts, _engine({"pp_size": 2}), CHECKED, leave_pages=64)
    assert result.outcome == DRAINED
    assert result.judgement is not None
    assert result.judgement.findings == ()
    (second,) = result.rank_logs
    assert second.steps == result.log.steps[: len(second)]
    assert len(result.log) - len(second) <= 1
    assert any(step.held_tokens for step in second)


@pytest.mark.parametrize("overlap", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("levels", [{}, {"leave_pages": 64}])
def test_attention_groups_have_a_log_each(hosts: Hosts, overlap: bool, levels: dict[str, int]) -> None:
    """Each rank runs its own requests, all drain, every text and every pool of the first is right."""
    engine = _engine({"tp_size": 2, "dp_size": 2, "enable_dp_attention": True}, overlap=overlap)
    result = _run(hosts, engine, CHECKED, **levels)
    assert result.outcome == DRAINED
    assert result.judgement is not None
    assert result.judgement.findings == ()
    logs = [result.log, *result.rank_logs]
    first, second = ({rid for step in log for rid in step.rids} for log in logs)
    assert not first & second
    wanted = {one.rid for one in parse_workload(_WORKLOAD).requests}
    assert first | second == wanted
    assert [step.end_ns for step in logs[0]] == [step.end_ns for step in logs[1]]
    assert set(result.provenance["rank_metrics"]) == {"1"}
    assert all(any(step.held_tokens for step in log) == bool(levels) for log in logs)


def test_a_rank_without_work_runs_along(hosts: Hosts) -> None:
    """A script names the rank of a request; the other one takes every step with an idle batch."""
    engine = _engine({"tp_size": 2, "dp_size": 2, "enable_dp_attention": True}, overlap=False)
    first, second = hosts.get(_settings(engine)).run(scripts.on_the_second_rank)
    assert first[:4] == (("prefill", 1), ("decode", 1), ("idle", 0), ("idle", 0))
    assert second[:4] == (("prefill", 2), ("decode", 2), ("decode", 2), ("decode", 2))


def test_a_planted_divergence_is_found(hosts: Hosts) -> None:
    """A page that one rank alone has lost is an error with the step, the rank and the field."""
    with pytest.raises(RanksDisagreeError) as caught:
        hosts.get(_settings(_engine(_TP))).run(scripts.with_a_page_less)
    said = "the ranks do not decide alike: step 2: rank 1 has free_tokens = 1456, rank 0 has 1472"
    assert str(caught.value).startswith(said)


def test_a_planted_divergence_is_a_finding(hosts: Hosts) -> None:
    """The oracle tells a rank that has parted once, with the number of steps."""
    judgement = hosts.get(_settings(_engine(_TP))).run(scripts.judged_with_a_page_less)
    (finding,) = [one for one in judgement.findings if one.promise == "ranks agree"]
    assert (finding.cause, finding.step) == ("rank 1: free_tokens", 2)
    assert finding.steps > 1


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (scripts.that_raises, "rank 1 failed: RuntimeError: planted in one rank"),
        (scripts.that_is_killed, "rank 1 failed: its process ended: killed by SIGKILL"),
    ],
)
def test_a_rank_that_fails_is_named(hosts: Hosts, script: Callable[..., object], said: str) -> None:
    """The error of another rank is typed, names the rank and the cause, and no process is left behind."""
    host = hosts.get(_settings(_engine(_TP)))
    others = host.run(scripts.pids)
    assert all(psutil.pid_exists(pid) for pid in others)
    with pytest.raises(RankFailedError, match=said):
        host.run(script)
    assert not any(psutil.pid_exists(pid) for pid in (*others, host.pid, host.worker_pid))


@pytest.mark.parametrize(
    "end",
    [
        "interrupt",
        "kill the first rank",
        pytest.param("close", marks=pytest.mark.slow),
        pytest.param("kill the supervisor", marks=pytest.mark.slow),
    ],
)
def test_no_rank_outlives_its_host(hosts: Hosts, end: str) -> None:
    """However an engine ends, no process of it is left."""
    host = hosts.get(_settings(_engine(_TP)))
    pids = (*host.run(scripts.pids), host.pid, host.worker_pid)
    if end == "close":
        host.close()
    elif end == "interrupt":  # what Ctrl-C does
        host.interrupt()
        with pytest.raises(HostError):
            host.run(scripts.pids)
    else:
        os.kill(host.worker_pid if end == "kill the first rank" else host.pid, signal.SIGKILL)
        with pytest.raises(HostError):
            host.run(scripts.steps)
    assert wait_until(lambda: not any(psutil.pid_exists(pid) for pid in pids))
