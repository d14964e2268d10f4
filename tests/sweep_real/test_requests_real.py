"""What requests ask for beside tokens, on the newest release: each reaches what SGLang decides with it.

Adapters, grammars, priorities that preempt, sessions, log-probabilities of a prompt (docs/requests.md).
"""

from __future__ import annotations

from typing import Any

import pytest

from exhausters.engine.settings import HostSettings
from exhausters.errors import UnsupportedSettingError
from exhausters.pressure import PressureLevels
from exhausters.sweep.cell import Cell, EngineSettings
from exhausters.sweep.drain import run_cell
from exhausters.sweep.record import ABORTED, DRAINED, STALLED, CellResult
from exhausters.sweep.run_options import CHECKED, RunOptions
from exhausters.worker.host import Host
from exhausters.workloads import parse_workload
from tests.conftest import Hosts
from tests.sweep_real import scripts_requests as scripts

pytestmark = pytest.mark.real

# Every feature that a switch turns on, so that few engines are booted. None changes what others do.
_SWITCHES = {"enable_lora": True, "max_loras_per_batch": 3, "enable_streaming_session": True}
_PREEMPTING = {"priority_scheduling_preemption_threshold": 0}
_BOTH_LOOPS = pytest.mark.parametrize("overlap", [True, False], ids=["overlap", "normal"])


def _engine(*, overlap: bool = True, **further: Any) -> EngineSettings:
    settings = {"model": "canary", "server_args": tuple(sorted(_SWITCHES.items())), **further}
    return EngineSettings(overlap=overlap, **settings)


def _preempting(*, overlap: bool) -> EngineSettings:
    return _engine(
        overlap=overlap,
        max_running_requests=4,
        priority_scheduling=True,
        server_args=tuple(_PREEMPTING.items()),
    )


def _host(hosts: Hosts, engine: EngineSettings) -> Host:
    return hosts.get(
        HostSettings(
            engine=engine.engine_keywords(),
            switches=dict(engine.server_args),
            environment=dict(engine.env),
            model=engine.model,
        )
    )


def _run(hosts: Hosts, engine: EngineSettings, workload: str, **levels: int) -> CellResult:
    """Judge a cell by all promises: none may be broken in any of these."""
    cell = Cell(workload=workload, engine=engine, levels=PressureLevels(held=bool(levels), **levels))
    options = RunOptions(passes=(CHECKED,))
    result: CellResult = _host(hosts, engine).run(run_cell, cell, parse_workload(workload), options)
    assert result.judgement is not None
    if result.outcome != STALLED:
        assert result.judgement.findings == ()
    return result


# Adapters.


@_BOTH_LOOPS
def test_a_third_adapter_waits_while_two_slots_are_taken(hosts: Hosts, overlap: bool) -> None:
    """With two of three slots left a third adapter waits until the last request of another has ended."""
    seen = _host(hosts, _engine(overlap=overlap)).run(scripts.third_adapter)
    assert seen["all at once"] == {"a", "b", "c"}
    # A second request of an adapter that is there already goes by the one that waits.
    assert seen["with two slots"] == [{"a", "b", "a2"}, {"c"}]
    assert (seen["kept"], seen["empty before"], seen["empty after"]) == (1, 2, 3)


@_BOTH_LOOPS
def test_no_batch_names_more_adapters_than_slots_are_left(hosts: Hosts, overlap: bool) -> None:
    """The promise is of every step; what is loaded is what slots miss, and every slot is accounted for."""
    for left in (3, 2, 1):
        levels = {} if left == 3 else {"leave_lora_slots": left}
        result = _run(hosts, _engine(overlap=overlap), "shared_prefix:adapters=4,requests=16", **levels)
        assert result.outcome == DRAINED
        assert max(step.batch_adapters for step in result.log) == left
        assert {step.held_lora_slots for step in result.log} == {3 - left}
        assert (result.metrics["adapter_loads"] or 0) >= 4


def test_a_run_leaves_no_adapter_to_the_next(hosts: Hosts) -> None:
    """The same cell has the same log after another that loaded adapters: slots are as a boot leaves them."""
    engine = _engine()
    first = _run(hosts, engine, "shared_prefix:adapters=4,requests=12")
    _run(hosts, engine, "bursts:adapters=7,bursts=1", leave_lora_slots=2)
    assert _run(hosts, engine, "shared_prefix:adapters=4,requests=12").log.digest == first.log.digest


# Grammars.


@_BOTH_LOOPS
def test_a_grammar_is_waited_for(hosts: Hosts, overlap: bool) -> None:
    """A request with a grammar enters no batch before the step in which it is compiled, one without may."""
    steps = 5
    result = _run(hosts, _engine(overlap=overlap), f"shared_prefix:grammar_steps={steps},requests=12")
    assert result.outcome == DRAINED
    assert result.facts is not None
    first = {rid: step.step for step in reversed(result.log.steps) for rid in step.rids}
    waited = {rid: first[rid] - submitted for rid, submitted in result.facts.submitted_steps.items()}
    assert {waited[f"shared-{index}"] for index in range(1, 12, 2)} == {steps}
    assert {waited[f"shared-{index}"] for index in range(0, 12, 2)} == {0}
    assert (result.metrics["compiling_requests_max"] or 0) > 0


@pytest.mark.slow  # a boot of its own
def test_a_grammar_that_takes_too_long_is_given_up(hosts: Hosts) -> None:
    """SGLang's own bound of polls ends a request whose grammar is not compiled: it is lost, and told."""
    bound = (("SGLANG_GRAMMAR_MAX_POLL_ITERATIONS", "3"),)
    result = _run(hosts, _engine(env=bound), "shared_prefix:grammar_steps=6,requests=8")
    assert (result.outcome, result.metrics["unfinished_requests"]) == (ABORTED, 4)
    kept = _run(hosts, _engine(env=bound), "shared_prefix:grammar_steps=2,requests=8")
    assert kept.outcome == DRAINED


def test_an_abort_reaches_the_grammar_queue(hosts: Hosts) -> None:
    """A request that is aborted while it waits for its grammar never has an output, and nothing is left."""
    workload = "disturbed:grammar_steps=6,pauses=false,requests=8,stage=compiling"
    result = _run(hosts, _engine(), workload)
    assert (result.outcome, result.provenance["events"]) == (DRAINED, {"abort compiling": 4})
    assert result.log.steps[-1].compiling == 0


# Priorities.


@_BOTH_LOOPS
def test_what_was_preempted_is_computed_again(hosts: Hosts, overlap: bool) -> None:
    """A preempted request throws its own pages away; exactly these tokens are computed again."""
    result = _run(hosts, _preempting(overlap=overlap), "shared_prefix:priorities=4,requests=16")
    assert result.outcome == DRAINED
    preempted = [rid for step in result.log for rid in step.preempted_rids]
    assert len(preempted) == result.metrics["preemptions"] > 0
    assert result.metrics["recomputed_tokens"] == result.metrics["preempted_tokens"] > 0
    priorities = {
        one.rid: one.priority or 0
        for one in parse_workload("shared_prefix:priorities=4,requests=16").requests
    }
    for step in result.log:
        admitted = [priorities[rid] for rid in step.rids if rid not in step.preempted_rids]
        assert all(priorities[rid] < max(admitted) for rid in step.preempted_rids)


# Sessions.


@_BOTH_LOOPS
@pytest.mark.parametrize("kind", ["plain", "streaming"])
def test_a_turn_reuses_what_its_session_has(hosts: Hosts, kind: str, overlap: bool) -> None:
    """The second turn's prefix is all that the first has computed; every page and row is accounted for."""
    engine = _engine(overlap=overlap, max_total_tokens=8_192)
    workload = f"agents:conversations=4,sessions={kind},turns=3"
    result = _run(hosts, engine, workload)
    assert result.outcome == DRAINED
    hits = {rid: hit for step in result.log for rid, hit in zip(step.rids, step.prefix_tokens, strict=False)}
    page = 16 if kind == "plain" else 1
    for one in parse_workload(workload).requests:
        if one.session is not None and one.session.has_tokens:
            # The last output was never computed upon.
            assert hits[one.rid] == (one.session.has_tokens - 1) // page * page
    kept = [(step.session_tokens, step.session_rows) for step in result.log]
    assert max(kept) == ((0, 0) if kind == "plain" else (max(kept)[0], 4))
    # The last session is closed in the last step but one.
    assert kept[-1] == (0, 0)


def test_sessions_that_fill_the_pool_stall(hosts: Hosts) -> None:
    """Nobody evicts what idle sessions keep: with the pool in their hands no turn can run, an outcome."""
    result = _run(hosts, _engine(max_total_tokens=2_048), "agents:conversations=8,sessions=streaming,turns=4")
    last = result.log.steps[-1]
    assert result.outcome == STALLED
    assert last.session_tokens + last.protected_tokens > 1_024
    # What the stalled run kept open is closed for the next one.
    assert _run(hosts, _engine(max_total_tokens=2_048), "bursts:bursts=1").outcome == DRAINED


# Log-probabilities.


@_BOTH_LOOPS
def test_logprobs_cut_the_hit(hosts: Hosts, overlap: bool) -> None:
    """No prefix behind the first position that is scored comes from the cache; others hit what they hit."""
    for position in (0, 100):
        workload = f"shared_prefix:logprobs_from={position},requests=12"
        result = _run(hosts, _engine(overlap=overlap), workload)
        assert result.outcome == DRAINED
        hits: dict[str, int] = {}
        for step in result.log:
            for rid, hit in zip(step.rids, step.prefix_tokens, strict=False):
                hits.setdefault(rid, hit)
        assert {hits[f"shared-{index}"] for index in range(1, 12, 2)} == {position // 16 * 16}
        assert {hits[f"shared-{index}"] for index in range(0, 12, 2)} == {256}


# What an engine cannot do.


@pytest.mark.parametrize(
    ("workload", "said"),
    [
        ("bursts:adapters=2,bursts=1", "names the adapter 'adapter-0', and this engine has none"),
        ("agents:sessions=streaming", "server_args.enable_streaming_session = \\[true\\]"),
    ],
)
def test_an_engine_without_it_refuses(hosts: Hosts, workload: str, said: str) -> None:
    """A workload that asks for what the engine was booted without is refused with what to do."""
    with pytest.raises(UnsupportedSettingError, match=said):
        _run(hosts, EngineSettings(model="canary"), workload)
