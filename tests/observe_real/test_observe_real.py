"""What is promised of a cell's numbers, kept by the real scheduler."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.bench_observation_cost import BARE, COUNTED, JUDGED, OBSERVED, drive
from exhausters.engine.settings import HostSettings
from exhausters.errors import ConservationError, HostError, SchedulerFailedError, WorkerCrashedError
from exhausters.observe.decision_log import DecisionLog
from exhausters.observe.metrics import DECISION, HOST, METRICS, MODELLED, WORK
from exhausters.observe.step_record import IDLE
from exhausters.pressure import PressureLevels
from exhausters.sweep.cell import Cell, EngineSettings
from exhausters.sweep.drain import run_cell
from exhausters.sweep.failure import failed_result
from exhausters.sweep.grid import load_grid
from exhausters.sweep.record import CRASHED, DRAINED, STALLED, CellResult
from exhausters.sweep.run_options import DrainLimits, RunOptions
from exhausters.worker.host import Host
from exhausters.worker.spool import SPOOL_STEPS
from exhausters.workloads import parse_workload
from tests.conftest import Hosts
from tests.observe_real import scripts_observe as scripts
from tests.scripted import scripts_leaks
from tests.scripted.engines import MAIN

pytestmark = pytest.mark.real

# What MAIN is booted with, as far as metrics ask for it.
_ENGINE = EngineSettings(max_running_requests=32, chunked_prefill_size=128)
_HYBRID_ENGINE = EngineSettings(model="hybrid_swa", max_running_requests=32)
HYBRID = HostSettings(engine=_HYBRID_ENGINE.engine_keywords(), model="hybrid_swa")
PRESSED = Cell(workload="shared_prefix:requests=24", levels=PressureLevels(leave_pages=80), engine=_ENGINE)
STORM = Cell(workload="retraction_storm:requests=24", levels=PressureLevels(leave_pages=56), engine=_ENGINE)
STUCK = Cell(workload="bursts:bursts=1", levels=PressureLevels(leave_rows=0, held=True), engine=_ENGINE)
_TRACES = Path(__file__).resolve().parents[2] / "../shared/data"


def run(host: Host, cell: Cell, **options: Any) -> CellResult:
    result: CellResult = host.run(run_cell, cell, parse_workload(cell.workload), RunOptions(**options))
    return result


def of_kind(result: CellResult, *kinds: str) -> dict[str, Any]:
    return {name: value for name, value in result.metrics.items() if METRICS[name].kind in kinds}


def expect_same_numbers(first: CellResult, second: CellResult) -> None:
    assert first.log.digest == second.log.digest
    assert (first.outcome, first.reason) == (second.outcome, second.reason)
    assert of_kind(first, DECISION) == of_kind(second, DECISION)
    assert of_kind(first, MODELLED) == of_kind(second, MODELLED)
    counts = of_kind(first, WORK)
    assert counts == pytest.approx(of_kind(second, WORK), rel=1e-4)
    assert counts["python_calls_per_step"] > 0


@pytest.fixture
def host(hosts: Hosts) -> Iterator[Host]:
    """The engine that other tests share; it must be left clean, by SGLang's own strict idle check too."""
    booted = hosts.get(MAIN)
    yield booted
    booted.run(scripts_leaks.expect_clean)
    assert booted.run(scripts.strict_checks)


@pytest.fixture(scope="module")
def others() -> Iterator[Hosts]:
    """Hosts of this module, which its tests may kill: one that is gone is booted again."""
    pool = Hosts()
    try:
        yield pool
    finally:
        pool.close()


_DOUBLE = r"counted twice \(a double free\)"
HELD = r"held by pressure: held_tokens=\d+, held_pages=\d+"
PLANTED = [
    ("leak tokens", rf"step 20: 32 KV tokens leaked: (.*) != total 4096; {HELD}"),
    ("free tokens twice", rf"step 20: \d+ KV tokens {_DOUBLE}: (.*) != total 4096; {HELD}"),
    ("leak rows", rf"step 20: 1 request rows leaked: (.*) != total 32; {HELD}"),
    ("free rows twice", rf"step 20: 1 request rows {_DOUBLE}: (.*) != total 32; {HELD}"),
]


@pytest.mark.parametrize(("plant", "told"), PLANTED)
def test_lost_and_doubled_units_are_found(host: Host, plant: str, told: str) -> None:
    """A page or row lost or freed twice is found in that very step, with all numbers, and costs one run."""
    with pytest.raises(ConservationError) as caught:
        host.run(scripts.planted, PRESSED, parse_workload(PRESSED.workload), plant, 20, True)
    found = re.fullmatch(told, str(caught.value))
    assert found, caught.value
    assert re.fullmatch(r"free \d+ \+ held \d+ \+ cached \d+ \+ in use \d+", found[1])
    assert run(host, PRESSED, count_work=False).outcome == DRAINED


def test_result_does_not_depend_on_what_ran_before(host: Host) -> None:
    """A cell gives the same numbers first and after a storm of retractions and a stall."""
    first = run(host, PRESSED)
    storm, stuck = run(host, STORM, count_work=False), run(host, STUCK, count_work=False)
    assert (storm.metrics["retractions"] or 0) > 0
    assert stuck.outcome == STALLED
    expect_same_numbers(first, run(host, PRESSED))


def test_counting_does_not_change_decisions(host: Host) -> None:
    """A counted pass decides what the timed pass decided, and its result has every metric there is."""
    result = run(host, STORM)
    assert result.provenance["repeatable"] is True
    assert set(result.metrics) == set(METRICS)
    assert all(value is not None for value in of_kind(result, WORK, HOST).values())


def test_without_counting_there_is_no_work(host: Host) -> None:
    """A run without the counted pass has no work metric, and no word on whether it repeats."""
    result = run(host, STORM, count_work=False)
    assert of_kind(result, WORK) == {}
    assert set(of_kind(result, HOST)) == {name for name, one in METRICS.items() if one.kind == HOST}
    assert "repeatable" not in result.provenance


STALLS = [
    PressureLevels(leave_pages=0, leave_refs=0),
    PressureLevels(leave_pages=0, held=True),
    PressureLevels(leave_refs=0, held=True),
    PressureLevels(leave_rows=0),
    PressureLevels(leave_rows=0, held=True),
]


@pytest.mark.parametrize("levels", STALLS, ids=str)
def test_a_stall_is_an_outcome(host: Host, levels: PressureLevels) -> None:
    """A run that cannot go on ends at the stall limit, tells what waited and was free, keeps its numbers."""
    cell = Cell(workload="shared_prefix:requests=64", levels=levels, engine=_ENGINE)
    result = run(host, cell, count_work=False, limits=DrainLimits(stall_steps=16))
    assert result.outcome == STALLED
    told = re.fullmatch(
        r"no forward for 16 steps while (\d+) requests wait \(first: (shared-\d+)\); "
        r"(\d+) KV tokens and (\d+) rows were free; held by pressure: ((?:held|pinned)_\w+=\d+.*)",
        result.reason,
    )
    assert told, result.reason
    last = result.log.steps[-1]
    assert (int(told[1]), int(told[3]), int(told[4])) == (last.waiting, last.free_tokens, last.free_rows)
    assert [one.mode for one in result.log.steps[-16:]] == [IDLE] * 16
    assert result.metrics["steps_to_drain"] == len(result.log)
    # Those that wait, and those that follow them in time.
    assert 0 < int(told[1]) <= (result.metrics["unfinished_requests"] or 0)


def test_same_numbers_in_another_process(hosts: Hosts, others: Hosts) -> None:
    """Two processes, one of them on a machine whose cores are all busy, agree to the last digit."""
    quiet, busy = hosts.get(MAIN), others.get(MAIN)
    cells = (PRESSED, STORM)
    first = [run(quiet, cell) for cell in cells]
    with ExitStack() as stack:
        for _ in range(len(os.sched_getaffinity(0))):
            loop = subprocess.Popen([sys.executable, "-c", "while True: pass"])
            stack.callback(loop.wait)
            stack.callback(loop.kill)
        second = [run(busy, cell) for cell in cells]
    assert quiet.worker_pid != busy.worker_pid
    for ours, theirs in zip(first, second, strict=True):
        expect_same_numbers(ours, theirs)
    assert first[0].log.digest != first[1].log.digest


def test_window_tokens_of_a_hybrid_model(others: Hosts) -> None:
    """A hybrid model's sliding-window pool is followed, evictions from it are counted, and it drains."""
    cell = Cell(workload="agents", levels=PressureLevels(leave_pages=80), engine=_HYBRID_ENGINE)
    result = run(others.get(HYBRID), cell)
    assert result.outcome == DRAINED, result.reason
    assert all(one.window_free_tokens > 0 for one in result.log)
    assert len({one.window_free_tokens for one in result.log}) > 1
    assert (result.metrics["window_evicted_tokens"] or 0) > 0
    assert result.provenance["repeatable"] is True


def test_a_request_that_sglang_cuts_short_is_answered(others: Hosts) -> None:
    """A request that SGLang gives fewer tokens than asked for is shortened, with its count, and not lost."""
    limited = replace(MAIN, environment={"SGLANG_MAX_NEW_TOKENS_LIMIT": "5"})
    workload = parse_workload("bursts:bursts=1")
    result = run(others.get(limited), Cell(workload="bursts:bursts=1", engine=_ENGINE))
    asked = [request.max_new_tokens for request in workload.requests]
    assert (result.outcome, result.reason) == (DRAINED, "")
    assert result.metrics["shortened_requests"] == sum(tokens > 5 for tokens in asked) > 0
    assert result.metrics["output_tokens"] == sum(min(tokens, 5) for tokens in asked)


@pytest.mark.parametrize("plant", ["leak window tokens", "free window tokens twice"])
def test_lost_and_doubled_window_tokens_are_found(others: Hosts, plant: str) -> None:
    """A page that only the window pool lost or has twice is found in that very step, by its name."""
    cell = Cell(workload="agents", levels=PressureLevels(leave_pages=80), engine=_HYBRID_ENGINE)
    host = others.get(HYBRID)
    what = "leaked" if plant.startswith("leak") else _DOUBLE
    with pytest.raises(ConservationError, match=rf"^step 20: 16 window tokens {what}: .*; {HELD}$"):
        host.run(scripts.planted, cell, parse_workload(cell.workload), plant, 20, True)
    assert run(host, cell, count_work=False).outcome == DRAINED


def test_a_failing_scheduler_leaves_its_numbers(others: Hosts) -> None:
    """When SGLang's loop raises, every step until then, and the metrics of them, are in the record."""
    host, workload = others.get(MAIN), parse_workload(PRESSED.workload)
    whole = run(host, PRESSED, count_work=False)
    with pytest.raises(SchedulerFailedError, match="planted failure") as caught:
        host.run(scripts.fails, PRESSED, workload, 30)
    assert not host.is_usable
    result = failed_result(caught.value, PRESSED, workload)
    assert result.outcome == CRASHED
    assert result.reason.endswith("RuntimeError: planted failure")
    assert result.log.digest == DecisionLog(whole.log.steps[:30]).digest
    assert result.metrics["steps_to_drain"] == 30
    assert 0 < (result.metrics["prefill_tokens"] or 0) < (whole.metrics["prefill_tokens"] or 0)
    assert set(result.metrics) == set(of_kind(whole, DECISION, MODELLED))
    assert result.provenance["partial"] is True
    assert result.provenance["workload_digest"] == workload.digest


def test_a_killed_worker_leaves_its_steps(others: Hosts) -> None:
    """When a worker is killed, all full batches of steps it had spooled are in the record, with metrics."""
    cell = replace(PRESSED, workload="agents", engine=_HYBRID_ENGINE)
    host, workload = others.get(HYBRID), parse_workload(cell.workload)
    with pytest.raises(WorkerCrashedError, match="killed by SIGKILL") as caught:
        host.run(scripts.killed, cell, workload, SPOOL_STEPS + 20)
    result = failed_result(caught.value, cell, workload)
    assert result.outcome == CRASHED
    assert [one.step for one in result.log] == list(range(SPOOL_STEPS))
    assert result.metrics["steps_to_drain"] == SPOOL_STEPS
    assert (result.metrics["prefill_tokens"] or 0) > 0
    assert result.provenance["partial"] is True


def test_an_unmended_leak_is_not_hidden(others: Hosts) -> None:
    """After a leak the next script either finds a clean engine or is told that the worker is gone."""
    host = others.get(MAIN)
    with pytest.raises(ConservationError):
        host.run(scripts.planted, PRESSED, parse_workload(PRESSED.workload), "leak tokens", 20, False)
    try:
        host.run(scripts_leaks.expect_clean)
    except HostError:
        assert not host.is_usable
    else:
        assert run(host, PRESSED, count_work=False).outcome == DRAINED


@pytest.mark.slow
def test_public_traffic_suffers_under_pressure(others: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mooncake traffic pays recompute, evictions and time to first token as the pool gets tight."""
    folder = Path(os.environ.get("EXHAUSTERS_TRACES") or _TRACES)
    if not (folder / "mooncake_conversation.jsonl").is_file():
        pytest.skip("set EXHAUSTERS_TRACES to a folder with mooncake_conversation.jsonl")
    monkeypatch.setenv("EXHAUSTERS_TRACES", str(folder.resolve()))
    cells = load_grid("mooncake").cells
    free, tight = cells[0], cells[-1]
    assert free.levels.leave_pages is None
    assert tight.levels.leave_pages == min(
        cell.levels.leave_pages for cell in cells if cell.levels.leave_pages is not None
    )
    booted = others.get(HostSettings(engine=free.engine.engine_keywords()))
    loose, pressed = (run(booted, cell, count_work=False).metrics for cell in (free, tight))
    for name in ("recompute_tax", "evicted_tokens", "time_to_first_token_p99_seconds"):
        assert (pressed[name] or 0) > (loose[name] or 0), name


def test_the_benchmark_of_observation_drives_all_of_its_loops(host: Host) -> None:
    """Bare, observed, judged and counted take the same steps; the latter three decide alike."""
    workload = parse_workload("shared_prefix:requests=6")
    ran = [host.run(drive, workload, kind) for kind in (BARE, OBSERVED, JUDGED, COUNTED)]
    assert len({steps for _, steps, _ in ran}) == 1
    assert len({digest for _, _, digest in ran[1:]}) == 1
