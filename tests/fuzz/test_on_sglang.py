"""A small campaign on the real scheduler, and a planted bug that it finds and cuts down."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from exhausters.fuzz import player as player_module
from exhausters.fuzz.campaign import Block, Campaign, Plan
from exhausters.fuzz.cases import Case
from exhausters.fuzz.corpus import read_case, read_corpus
from exhausters.fuzz.operations import Exhaust, Operation
from exhausters.fuzz.player import Player
from exhausters.fuzz.shrink import shrink_case
from exhausters.fuzz.sometimes import ABORTED_RUNNING, HIT, ROWS_OUT_QUEUED
from exhausters.pressure.levels import PressureLevels
from exhausters.sweep.cell import EngineSettings
from exhausters.sweep.workers import Lease, Workers
from exhausters.targets import prepare
from tests.conftest import newest_release
from tests.fuzz import planted_real
from tests.fuzz.in_process import script, steps, submit

_ENGINE = EngineSettings(page_size=16, chunked_prefill_size=64, max_total_tokens=1024, max_running_requests=4)
_CORPUS = Path(__file__).with_name("corpus")
_OPEN = Path(__file__).with_name("open")
_SCRIPTS = 30


@pytest.fixture(name="lease", scope="module")
def _lease() -> Iterator[Lease]:
    with Workers(limit=1) as owner, owner.lease() as lease:
        yield lease


def _drawn(count: int) -> list[Case]:
    """Scripts of a fixed seed, on one engine."""
    cases = [case for batch in Block(seed=6, number=0, scripts=count).batches() for case in batch]
    return [replace(case, engine=_ENGINE) for case in cases]


@pytest.mark.real
def test_a_small_campaign(lease: Lease) -> None:
    """Drawn scripts are played to their ends on the newest release, reach pressure, and disturb nobody.

    Played again in the other order, each decides the same.
    """
    cases = _drawn(_SCRIPTS)
    shown = list(Player(newest_release(), lease).play([*cases, *reversed(cases)]))
    logs = [one.played.log_digest if one.played is not None else None for one in shown]
    assert None not in logs
    assert logs[:_SCRIPTS] == logs[: _SCRIPTS - 1 : -1]
    campaign = Campaign(plan=Plan(scripts=_SCRIPTS), shown=shown)
    assert all(campaign.reached[state.name][0] for state in (HIT, ABORTED_RUNNING, ROWS_OUT_QUEUED))
    assert campaign.steps > 10 * _SCRIPTS


@pytest.mark.real
def test_a_planted_bug(lease: Lease, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock that is kept of an aborted request is found by drawn scripts and cut down to one request."""
    monkeypatch.setattr(player_module, "play_all", planted_real.play_all)
    player = Player(newest_release(), lease)
    found = [
        (finding, one.case)
        for one in player.play(_drawn(_SCRIPTS))
        for finding in one.findings
        if finding.promise == "lock ledger"
    ]
    assert found
    finding, case = found[0]
    shrunk = shrink_case(case, finding, player, max_runs=150)
    assert shrunk is not None
    kinds = [one.to_json()["op"] for one in shrunk.case.script.operations]
    assert kinds.count("submit") == 1
    assert kinds.count("abort") == 1
    assert len(kinds) <= 4


@pytest.mark.real
def test_the_corpus_is_kept_by_the_newest_release(lease: Lease) -> None:
    """Scripts that once broke a promise on an older build break none on the newest."""
    for case in read_corpus(_CORPUS):
        assert [one.saw for one in Player(newest_release(), lease).alone(case).findings] == [], case.origin


@pytest.mark.real
def test_open_findings_are_open(lease: Lease) -> None:
    """Each script of an open finding breaks its promise on the newest release; else it is of the corpus."""
    for path in sorted(_OPEN.glob("*.json")):
        promise = json.loads(path.read_text())["promise"]
        found = {one.promise for one in Player(newest_release(), lease).alone(read_case(path)).findings}
        assert promise in found, path.name


@pytest.mark.releases
def test_the_corpus_broke_a_promise(lease: Lease) -> None:
    """Each script of the corpus still breaks, on 0.5.22, what it was kept for."""
    old = prepare("release:0.5.22")
    for case in read_corpus(_CORPUS):
        assert Player(old, lease).alone(case).findings, case.origin


# What campaigns once took for bugs, each on the engine that it was found with.
_BLAMED: dict[str, tuple[EngineSettings, tuple[Operation, ...]]] = {
    "a prompt as long as the pool is refused, and its output is that of another prompt": (
        EngineSettings(max_total_tokens=2048, max_running_requests=4, model="canary"),
        (submit("r0", 2048, max_new_tokens=8),),
    ),
    "a prompt that is refused neither hits what is cached of it nor leaves any of it": (
        EngineSettings(max_total_tokens=512, max_running_requests=4, chunked_prefill_size=128),
        (
            submit("r0", 40, max_new_tokens=1, seed=7),
            steps(3),
            submit("r1", 512, seed=7),
            submit("r2", 600, seed=8),
            steps(6),
            submit("r3", 64, seed=8),
        ),
    ),
    "pages for a prompt and its outputs are whole ones in both pools": (
        EngineSettings(
            page_size=16,
            chunked_prefill_size=32,
            max_total_tokens=2048,
            max_running_requests=4,
            model="canary_hybrid_swa",
        ),
        (
            submit("r0", 5, max_new_tokens=8),
            Exhaust(levels=PressureLevels(leave_pages=2, held=True)),
            steps(8),
        ),
    ),
    "a prompt of many chunks is retracted on purpose, again and again": (
        EngineSettings(
            page_size=4,
            chunked_prefill_size=32,
            radix_cache=False,
            max_total_tokens=2048,
            max_running_requests=8,
            model="canary",
            env=(("SGLANG_TEST_RETRACT", "1"),),
        ),
        (submit("r0", 157, max_new_tokens=32), submit("r1", 512, max_new_tokens=5)),
    ),
}


@pytest.mark.real
@pytest.mark.parametrize("what", _BLAMED)
def test_what_is_no_bug(lease: Lease, what: str) -> None:
    """What SGLang does on purpose breaks no promise."""
    engine, operations = _BLAMED[what]
    shown = Player(newest_release(), lease).alone(Case(engine=engine, script=script(*operations)))
    assert [(one.promise, one.saw) for one in shown.findings] == []
