"""A campaign's machinery on the fake engine: what is planted is found, cut down, and traced to its script."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from typer.testing import CliRunner

import exhausters.fuzz.campaign
import exhausters.targets
from exhausters.cli.app import app
from exhausters.engine.fake.page_trie import PageTrie
from exhausters.engine.fake.pools import PagePool
from exhausters.engine.fake.scheduler import FakeScheduler
from exhausters.errors import ScriptFailedError
from exhausters.fuzz import player as player_module
from exhausters.fuzz.campaign import Campaign, Plan, run_campaign
from exhausters.fuzz.cases import Case, Shown
from exhausters.fuzz.operations import Abort, Exhaust, Flush, Operation, Pause, Resume
from exhausters.fuzz.play import CLEAN_END, NO_CRASH
from exhausters.fuzz.player import Player
from exhausters.fuzz.report import campaign_json, issue_text
from exhausters.fuzz.script_file import fails, script_text
from exhausters.fuzz.scripts import write_scripts
from exhausters.fuzz.shrink import ShrunkCase, shrink_case
from exhausters.fuzz.sometimes import ABORTED_WAITING, HIT, STATES, unreached
from exhausters.pressure.levels import PressureLevels
from exhausters.sweep.workers import Lease, Workers
from tests.fakes.fake_target import fake_target
from tests.fuzz import deadly
from tests.fuzz.in_process import ENGINE, InProcess, module_of, script, steps, submit

Patch = pytest.MonkeyPatch


def _of(*operations: Operation) -> Case:
    return Case(engine=ENGINE, script=script(*operations))


def play(case: Case) -> Shown:
    return Player(fake_target(), cast(Lease, InProcess())).alone(case)


def shrunk(case: Case, shown: Shown, **options: Any) -> ShrunkCase:
    found = shrink_case(case, shown.findings[0], Player(fake_target(), cast(Lease, InProcess())), **options)
    assert found is not None
    return found


def campaign(scripts: int, **plan: Any) -> Campaign:
    owner = cast(Workers, InProcess())
    return run_campaign(fake_target(), Plan(scripts=scripts, **plan), owner=owner)


@pytest.fixture(name="shy")
def _shy(monkeypatch: Patch) -> None:
    """The fake admits nobody while two requests run, though there is room."""
    original = FakeScheduler._admit

    def admit(self: FakeScheduler, request: Any) -> bool:
        return len(self.running.requests) < 2 and original(self, request)

    monkeypatch.setattr(FakeScheduler, "_admit", admit)


_LONG = Case(
    engine=ENGINE,
    script=script(
        submit("r0", 40, max_new_tokens=64),
        steps(2),
        Pause(mode="in_place"),
        steps(1),
        Resume(),
        submit("r1", 300, max_new_tokens=64),
        submit("r2", 7),
        Abort(rid="r2", stage="running", within_steps=3),
        Exhaust(levels=PressureLevels(leave_rows=7, held=True)),
        steps(2),
        submit("r3", 100, max_new_tokens=32),
        steps(8),
        submit("r4", 5),
    ),
)


@pytest.mark.usefixtures("shy")
def test_a_script_is_cut_down() -> None:
    """Of thirteen operations the three requests are left that the bug needs, each as short as can be."""
    shown = play(_LONG)
    assert {one.promise for one in shown.findings} == {"work conservation"}
    found = shrunk(_LONG, shown)
    kinds = [one.to_json()["op"] for one in found.case.script.operations]
    assert kinds.count("submit") == 3
    assert set(kinds) <= {"submit", "steps"}
    assert found.is_minimal
    lengths = [
        part.length
        for one in found.case.script.operations
        if hasattr(one, "request")
        for part in one.request.prompt
    ]
    assert sorted(lengths) == [1, 1, 1]
    assert play(found.case).findings[0].promise == "work conservation"


@pytest.mark.usefixtures("shy")
def test_runs_are_bounded() -> None:
    """The shrinker stops at its limit of runs with the best until then, and says that it could be smaller."""
    found = shrunk(_LONG, play(_LONG), max_runs=6)
    assert found.runs == 6
    assert not found.is_minimal
    assert len(found.case.script.operations) < len(_LONG.script.operations)


def test_what_does_not_come_back_has_no_script(monkeypatch: Patch) -> None:
    """A finding that is not there when its script is played again is not shrunk."""
    with monkeypatch.context() as planted:
        original = FakeScheduler._admit
        planted.setattr(
            FakeScheduler, "_admit", lambda self, one: len(self.running.requests) < 2 and original(self, one)
        )
        shown = play(_LONG)
    assert shown.findings
    player = Player(fake_target(), cast(Lease, InProcess()))
    assert shrink_case(_LONG, shown.findings[0], player) is None


@pytest.mark.usefixtures("shy")
def test_the_written_script_fails_until_it_is_mended(tmp_path: Path, monkeypatch: Patch) -> None:
    """The script of a finding is a test that fails on this scheduler and passes on a mended one."""
    found = shrunk(_LONG, play(_LONG))
    file = tmp_path / "test_shown_by_fuzz.py"
    file.write_text(script_text(found, target="fake", file=file.name))
    lease = InProcess()
    assert fails(file, found.case, fake_target(), cast(Lease, lease))
    with pytest.raises(ScriptFailedError, match="work conservation: broken from step"):
        lease.run(module_of(file).script)
    monkeypatch.undo()
    lease.run(module_of(file).script)
    assert not fails(file, found.case, fake_target(), cast(Lease, lease))


@pytest.mark.usefixtures("shy")
def test_a_campaign_finds_it(tmp_path: Path) -> None:
    """Drawn scripts find what is planted, tell it once, and leave script, case, issue and JSON behind."""
    found = campaign(60, seed=1)
    assert found.exit_code == 1
    (group,) = [one for one in found.groups if one.finding.promise == "work conservation"]
    assert "seed 1, block 0" in group.of.origin
    scripts = write_scripts((group,), fake_target(), cast(Workers, InProcess()), tmp_path, max_runs=300)
    assert scripts[0].is_proven
    assert (tmp_path / scripts[0].name).read_text() == scripts[0].text
    assert (tmp_path / "cases" / "work_conservation.json").exists()
    assert len(scripts[0].shrunk.case.script.operations) <= 6
    assert group.finding.wants in issue_text(found, {}, target="fake")
    assert campaign_json(found, {}, target="fake")["exit_code"] == 1


@pytest.mark.usefixtures("shy")
def test_a_full_disk_loses_no_campaign(tmp_path: Path, monkeypatch: Patch) -> None:
    """What a campaign found is printed where it cannot be written; that is an error with exit code 2."""
    found = campaign(60, seed=1)

    def full(*_arguments: object, **_more: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(exhausters.fuzz.campaign, "run_campaign", lambda *_, **__: found)
    monkeypatch.setattr(exhausters.targets, "prepare", lambda text, **_: fake_target())
    monkeypatch.setattr(Path, "write_text", full)
    result = CliRunner().invoke(app, ["check", "x", "--fuzz", "60", "--out", str(tmp_path / "out")])
    assert result.exit_code == 2
    printed = result.stdout.partition("fuzz.json, which could not be written:\n")[2]
    assert json.JSONDecoder().raw_decode(printed)[0]["exit_code"] == 1
    assert "broken: work conservation" in printed.partition("fuzz.md, which could not be written:\n")[2]
    assert "StoreError" in result.stderr


def test_a_campaign_is_its_seed() -> None:
    """The same seed plays the same scripts with the same decisions; another one others."""
    logs = [
        [one.played.log_digest for one in campaign(20, seed=seed).shown if one.played] for seed in (3, 3, 4)
    ]
    assert logs[0] == logs[1]
    assert logs[0] != logs[2]


def test_the_corpus_is_played_first() -> None:
    """Cases of a corpus come before what is drawn, and are no part of the number of scripts."""
    mine = Case(engine=ENGINE, script=script(submit("r0", 3)), origin="mine.json")
    found = campaign(5, corpus=(mine,))
    assert found.shown[0].case.origin == "mine.json"
    assert found.drawn == 5


def test_scripts_do_not_disturb_each_other() -> None:
    """A script decides the same after another one that ends in the middle of everything."""
    calm = script(submit("r0", 30, max_new_tokens=8), steps(3), submit("r1", 30, seed=1000), steps(4))
    wild = script(
        submit("r0", 30, max_new_tokens=64),
        submit("r1", 200),
        steps(3),
        Exhaust(levels=PressureLevels(leave_pages=0, leave_rows=1, held=True)),
        Pause(mode="retract"),
    )
    cases = [Case(engine=ENGINE, script=one) for one in (calm, wild, calm)]
    shown = list(Player(fake_target(), cast(Lease, InProcess())).play(cases))
    first, _, last = (one.played for one in shown)
    assert first is not None
    assert last is not None
    assert first.log_digest == last.log_digest


def test_a_flush_is_no_eviction() -> None:
    """A cache that a script itself has emptied owes no hits."""
    one = script(submit("r0", 30), steps(8), Flush(), steps(1), submit("r1", 30, seed=1000), steps(3))
    shown = play(Case(engine=ENGINE, script=one))
    assert shown.findings == ()
    assert shown.played is not None
    assert HIT.name not in shown.played.reached


def test_a_mark_from_before_the_release_is_no_finding(monkeypatch: Patch) -> None:
    """A batch that was full while rows were held back may stay marked when they are given back."""
    original = FakeScheduler.form_batch
    number = [0]

    def form_batch(self: FakeScheduler) -> Any:
        number[0] += 1
        self.is_marked_full = bool(self.running.requests) and (
            self.is_marked_full or self.rows.available_rows() == 0
        )
        return original(self)

    monkeypatch.setattr(FakeScheduler, "form_batch", form_batch)
    one = script(
        submit("r0", 10, max_new_tokens=32),
        steps(2),
        Exhaust(levels=PressureLevels(leave_rows=0)),
        submit("r1", 10),
        steps(3),
    )
    shown = play(Case(engine=ENGINE, script=one))
    assert shown.findings == ()
    assert shown.played is not None
    assert "marked as full while requests wait" in shown.played.reached


def test_rows_that_held_pressure_takes_again_are_not_free() -> None:
    """A row that comes free and is taken before the scheduler looks is none that it keeps back."""
    one = script(
        *(submit(f"r{number}", 5, max_new_tokens=8 + number) for number in range(8)),
        steps(3),
        Exhaust(levels=PressureLevels(leave_rows=0, held=True)),
        submit("r8", 5),
        steps(12),
    )
    shown = play(Case(engine=ENGINE, script=one))
    assert shown.findings == ()
    assert shown.played is not None
    assert {one.promise: one.judged for one in shown.played.promises}["work conservation"] > 8


@pytest.mark.parametrize("level", ["leave_pages", "leave_refs"])
def test_no_page_is_taken_from_a_chunk_that_goes_on(level: str) -> None:
    """Pages that its admission has reckoned with are neither allocated nor pinned: that would end SGLang."""
    levels = PressureLevels(**{level: 0})
    shown = play(_of(submit("r0", 300), steps(1), Exhaust(levels=levels)))
    assert shown.findings == ()
    assert shown.played is not None
    assert shown.played.refused == 1


def test_pages_that_are_lost(monkeypatch: Patch) -> None:
    """A leak is a finding of its script, and the scripts after it are played on a new engine."""
    original = PagePool.free

    def free(self: PagePool, pages: Any) -> None:
        original(self, list(pages)[: -1 if len(pages) == 3 else None])

    monkeypatch.setattr(PagePool, "free", free)
    monkeypatch.setattr(PageTrie, "insert", lambda self, tokens, pages: self._pool.free(pages))
    cases = [_of(submit("r0", length, max_new_tokens=1)) for length in (5, 3, 5)]
    shown = list(Player(fake_target(), cast(Lease, InProcess())).play(cases))
    assert [[finding.promise for finding in one.findings] for one in shown] == [[], ["conservation"], []]


def test_an_engine_that_does_not_become_idle(monkeypatch: Patch) -> None:
    """A request that no abort ends is a finding of the script that has sent it."""
    original = FakeScheduler.abort

    def abort(self: FakeScheduler, prefix: str) -> None:
        kept = [one for one in self.queue if len(one.prompt) == 77]
        original(self, prefix)
        self.queue = list(dict.fromkeys([*kept, *self.queue]))

    admit = FakeScheduler._admit
    monkeypatch.setattr(FakeScheduler, "abort", abort)
    monkeypatch.setattr(FakeScheduler, "_admit", lambda self, one: len(one.prompt) != 77 and admit(self, one))
    shown = play(Case(engine=ENGINE, script=script(submit("r0", 77))))
    assert {one.promise for one in shown.findings} >= {"liveness", CLEAN_END}


def test_a_scheduler_that_raises(monkeypatch: Patch) -> None:
    """What raises in the scheduler is traced to the script that ran, with the others' results kept."""
    original = FakeScheduler.receive

    def receive(self: FakeScheduler, rid: str, prompt: Any, max_new_tokens: int) -> None:
        if len(prompt) == 13:
            raise RuntimeError("a page of 13 tokens")
        original(self, rid, prompt, max_new_tokens)

    monkeypatch.setattr(FakeScheduler, "receive", receive)
    cases = [_of(submit("r0", length)) for length in (5, 13, 6)]
    shown = list(Player(fake_target(), cast(Lease, InProcess())).play(cases))
    assert [len(one.findings) for one in shown] == [0, 1, 0]
    assert shown[1].findings[0].promise == NO_CRASH
    assert "a page of 13 tokens" in shown[1].findings[0].saw
    assert shown[2].played is not None


@pytest.fixture(name="workers")
def _workers() -> Iterator[Workers]:
    with Workers(limit=1) as owner:
        yield owner


def test_a_worker_that_ends(workers: Workers, monkeypatch: Patch) -> None:
    """A process that ends is traced to its script, which is confirmed alone; the others are played."""
    monkeypatch.setattr(player_module, "play_all", deadly.play_all)
    cases = [_of(submit("r0", length)) for length in (5, deadly.DEADLY_TOKENS, 6)]
    with workers.lease() as lease:
        player = Player(fake_target(), lease)
        shown = list(player.play(cases))
    assert [len(one.findings) for one in shown] == [0, 1, 0]
    assert shown[1].findings[0].promise == NO_CRASH
    assert "alone" not in shown[1].findings[0].cause
    assert "exit code 3" in shown[1].findings[0].saw
    assert player.deaths == 1


def test_a_state_that_is_never_reached_is_red() -> None:
    """From a thousand scripts on, a state that could be reached and was not makes the exit code 2."""
    possible = {one.name: 500 for one in STATES}
    reached = {one.name: 3 for one in STATES}
    assert unreached(reached, possible, scripts=1000) == ()
    del reached[ABORTED_WAITING.name]
    assert unreached(reached, possible, scripts=1000) == (ABORTED_WAITING.name,)
    assert unreached(reached, possible, scripts=999) == ()
    possible[ABORTED_WAITING.name] = 0
    assert unreached(reached, possible, scripts=1000) == ()


def _shown(reached: tuple[str, ...]) -> Shown:
    played = play(_CALM).played
    assert played is not None
    calm = replace(_CALM, features=frozenset({"aborts"}))
    return Shown(case=calm, findings=(), played=replace(played, reached=reached))


_CALM = Case(engine=ENGINE, script=script(submit("r0", 3)))


def test_exit_codes() -> None:
    """Nothing found is 0; a state not reached, an engine not played or nothing at all 2; a finding 1."""
    one = _shown(tuple(state.name for state in STATES))
    good = Campaign(plan=Plan(scripts=1000), shown=[one] * 1000)
    assert good.exit_code == 0
    assert Campaign(plan=Plan(scripts=1000), shown=[_shown(())] * 1000).exit_code == 2
    assert Campaign(plan=Plan(scripts=10), shown=[_shown(())] * 10).exit_code == 0
    assert Campaign(plan=Plan(scripts=10), shown=[one], failures={"p1": "refused"}).exit_code == 2
    assert Campaign(plan=Plan(scripts=10)).exit_code == 2


def test_a_state_is_counted_where_it_was_asked_for() -> None:
    """Of no state more scripts reach it than could."""
    shown = [_shown((ABORTED_WAITING.name, HIT.name))] * 3
    reached = Campaign(plan=Plan(scripts=3), shown=shown).reached
    assert (reached[ABORTED_WAITING.name], reached[HIT.name]) == ((3, 3), (0, 0))


def test_minutes_end_a_campaign() -> None:
    """Without time nothing is played, and that is no pass."""
    found = campaign(50, minutes=0.0)
    assert found.shown == []
    assert found.exit_code == 2
