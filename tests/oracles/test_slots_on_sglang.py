"""The canary and what judges its text, on the real scheduler: planted breaks are found, and no others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from exhausters.engine.settings import HostSettings
from exhausters.pressure.levels import PressureLevels
from exhausters.sweep.cell import Cell, EngineSettings
from exhausters.sweep.drain import run_cell
from exhausters.sweep.record import DRAINED
from exhausters.sweep.run_options import CHECKED, DECIDE, RunOptions
from exhausters.sweep.workers import boot
from exhausters.targets import prepare
from exhausters.workloads import CanaryText, parse_workload
from tests.conftest import Hosts
from tests.oracles import scripts_slots as scripts
from tests.scripted.engines import MAIN

_ENGINE = EngineSettings(max_running_requests=32, chunked_prefill_size=128, model="canary")
_PLAIN = replace(MAIN, engine={**MAIN.engine, "enable_priority_scheduling": False}, model="canary")
_OTHER = HostSettings(
    engine={
        "page_size": 1,
        "max_total_tokens": 4096,
        "max_running_requests": 32,
        "chunked_prefill_size": 64,
        "disable_overlap_schedule": True,
        "enable_mixed_chunk": True,
    },
    tree_core="python",
    model="canary",
)
_HYBRID = replace(_PLAIN, model="canary_hybrid_swa", tree_core="default")
_SETTINGS = {"overlap-16-rust": _PLAIN, "normal-1-python-mixed": _OTHER, "hybrid": _HYBRID}
_CELLS = [
    ("agents", 0),
    ("agents", 1280),
    ("retraction_storm:requests=24,warmup_leaves=0", 640),
    ("long_context:requests=16", 2560),
]


def checked(host: Any, workload: str, *, leave_tokens: int = 0) -> Any:
    levels = {"leave_pages": leave_tokens // host.ready.facts.page_size} if leave_tokens else {}
    cell = Cell(workload=workload, levels=PressureLevels(**levels, held=True), engine=_ENGINE)
    return host.run(run_cell, cell, parse_workload(workload), RunOptions(passes=(CHECKED,)))


@pytest.mark.real
@pytest.mark.parametrize("name", list(_SETTINGS))
def test_the_model_emits_the_text_of_the_reference(hosts: Hosts, name: str) -> None:
    """The reference agrees: prompts of one token, of a page and one more, in chunks, with a shared prefix."""
    shared = [1_000_000 + place for place in range(300)]
    prompts = [[7], [*range(100, 117)], shared, [*shared[:160], 5], [(1 << 31) - 1] * 400]
    texts = hosts.get(_SETTINGS[name]).run(scripts.texts, prompts, 20)
    assert texts == [tuple(CanaryText().after(prompt, 20)) for prompt in prompts]


@pytest.mark.real
@pytest.mark.parametrize("name", list(_SETTINGS))
@pytest.mark.parametrize(("workload", "leave_tokens"), _CELLS)
def test_the_same_text_everywhere(hosts: Hosts, name: str, workload: str, leave_tokens: int) -> None:
    """With either loop and core, both page sizes, in chunks, under pressure and retracted: one text."""
    result = checked(hosts.get(_SETTINGS[name]), workload, leave_tokens=leave_tokens)
    assert result.outcome == DRAINED
    assert result.judgement.findings == ()
    judged = {one.promise: one.judged for one in result.judgement.promises}
    assert judged["same text"] == len(parse_workload(workload).requests)
    assert judged["slot ownership"] > 0
    if workload.startswith("retraction"):
        assert result.metrics["retractions"]


@pytest.mark.real
@pytest.mark.parametrize(
    ("plant", "promises"),
    [
        ("wrong page", {"same text", "slot ownership"}),
        ("use after free", {"same text", "slot ownership"}),
        ("overwritten slot", {"same text"}),
    ],
)
def test_a_planted_slot_is_found(hosts: Hosts, plant: str, promises: set[str]) -> None:
    """A wrong page, a use after free, an overwritten slot: each is found by the promises that it breaks."""
    cell = Cell(workload="agents", engine=_ENGINE)
    result = hosts.get(_PLAIN).run(scripts.planted, cell, parse_workload("agents"), plant)
    found = {one.promise: one for one in reversed(result.judgement.findings)}
    # A wrong output in the cache is not found by the next turn, whose prompt has the right one.
    assert set(found) - {"cache honesty"} == promises
    assert found["same text"].rids[0] in found["same text"].saw


@pytest.mark.real
def test_the_canary_decides_as_the_dense_model(hosts: Hosts) -> None:
    """The text changes no decision of a workload whose prompts contain none of it."""
    cell, options = Cell(workload="long_context:requests=16", engine=_ENGINE), RunOptions(passes=(DECIDE,))
    canary, dense = (
        hosts.get(settings).run(run_cell, cell, parse_workload(cell.workload), options).log
        for settings in (_PLAIN, replace(_PLAIN, model="dense"))
    )
    assert canary.digest == dense.digest


@pytest.mark.real
def test_what_asks_for_no_output_has_no_text(hosts: Hosts) -> None:
    """A request without outputs samples nothing: what SGLang hands out for it is judged by nobody."""
    result = checked(hosts.get(_PLAIN), "scoring")
    assert result.outcome == DRAINED
    assert result.judgement.findings == ()


@pytest.mark.real
def test_penalties_change_no_text(hosts: Hosts) -> None:
    """A frequency penalty reaches the batches of the real scheduler, and no text, also after retractions."""
    host = hosts.get(_PLAIN)
    workload = "retraction_storm:requests=24,warmup_leaves=0,frequency_penalty=0.5"
    result = checked(host, workload, leave_tokens=640)
    assert result.judgement.findings == ()
    assert result.metrics["retractions"]
    assert host.run(scripts.most_penalized, "bursts:bursts=1,frequency_penalty=0.5") > 1


@pytest.mark.releases
@pytest.mark.parametrize("release", ["0.5.13", "0.5.18"])
def test_the_same_text_on_older_releases(release: str) -> None:
    """Older releases keep page tables and outputs elsewhere; the text is the same, retracted or not."""
    with boot(prepare(f"release:{release}"), replace(_ENGINE, page_size=1)) as host:
        for workload, leave_tokens in _CELLS:
            result = checked(host, workload, leave_tokens=leave_tokens)
            judged = {one.promise: one.judged for one in result.judgement.promises}
            assert judged["same text"] == len(parse_workload(workload).requests)
            assert [one for one in result.judgement.findings if one.promise in judged] == []
