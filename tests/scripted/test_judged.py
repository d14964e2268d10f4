"""Scripts that are judged as they go, on the fake scheduler: they find what is planted, and end cleanly."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import pytest

from exhausters.errors import ScriptFailedError, UnsupportedSettingError, UsageError
from exhausters.oracles import Judgement
from exhausters.scripted.context import ScriptedContext
from exhausters.scripted.judged_run import COMPILING, JudgedRun
from exhausters.scripted.judged_steps import expect_kept, expect_unbroken, judged_steps
from exhausters.scripted.recorded_steps import request
from exhausters.workloads import Session
from tests.fakes.fake_engine import ScriptRunner

_PROMPT = [101] * 64
_Body = Callable[[ScriptedContext], Generator[None, None, Any]]


def script(t: ScriptedContext, body: _Body) -> Any:
    """Any of the generators below."""
    return (yield from body(t))


def _run(body: _Body, **settings: Any) -> Any:
    return ScriptRunner(**settings).run(script, body)


def _broken(judgement: Judgement) -> set[str]:
    return {one.promise for one in judgement.findings}


# `JudgedRun`.


def test_a_stage_is_one_of_those_that_there_are() -> None:
    """A stage that is no stage is refused by its name, so that no script waits for it in vain."""

    def body(t: ScriptedContext) -> Generator[None, None, None]:
        with JudgedRun(t) as run:
            yield from run.until("a", "sleeping", within=3)

    with pytest.raises(UsageError, match=r"stage='sleeping': expected one of waiting, .*compiling"):
        _run(body)


def test_a_request_is_seen_in_its_stages() -> None:
    """A request is told where it is: nowhere, in chunks, running, then gone with all that it wanted."""

    def body(t: ScriptedContext) -> Generator[None, None, Any]:
        seen: list[str | None] = []
        with JudgedRun(t) as run:
            run.submit("a", [101] * 300, max_new_tokens=3)
            seen.append(run.stage_of("a"))
            for _ in range(2):
                yield from run.steps(1)
                seen.append(run.stage_of("a"))
            whole = [*[101] * 300, *t.text.after([101] * 300, 3)]
            early = run.has_left("a", whole)
            assert not run.is_at("a", COMPILING)
            assert (yield from run.drain())
            left = run.has_left("a", whole), run.has_left("a", whole[:-1]), run.has_left("b", [])
        return seen, early, left

    seen, early, left = _run(body)
    assert seen == [None, "chunked", None]
    assert not early
    assert left == (True, False, False)


def test_an_adapter_is_refused_before_anything_is_sent() -> None:
    """An engine without adapters refuses the request, and the run does not count it as submitted."""

    def body(t: ScriptedContext) -> Generator[None, None, Any]:
        with JudgedRun(t) as run:
            with pytest.raises(UnsupportedSettingError):
                run.submit("a", _PROMPT, adapter="x")
            yield
            return run.rids, t.has_unreceived

    assert _run(body) == ((), False)


def test_a_session_is_closed_when_its_last_turn_has_ended() -> None:
    """Of a later turn what is new is sent; a drain closes a session that no turn needs, and not before."""
    runner = ScriptRunner()
    engine, calls = runner.engine, []
    opened: list[str] = []

    def close(name: str) -> None:
        calls.append((name, engine.find_request("second") is None))
        opened.remove(name)

    def body(t: ScriptedContext) -> Generator[None, None, Any]:
        with JudgedRun(t) as run:
            run.submit("first", _PROMPT, session=Session(name="s", streams=False))
            yield from run.steps(3)
            later = Session(name="s", streams=False, has_tokens=64)
            run.submit("second", [101] * 80, max_new_tokens=4, session=later, after="first")
            yield from run.steps(1)
            assert t.engine.find_request("second").prompt_tokens == 16  # type: ignore[union-attr]
            return (yield from run.drain())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "open_session", lambda name, *, is_streaming: opened.append(name))
        patch.setattr(engine, "open_sessions", lambda: tuple(opened))
        patch.setattr(engine, "close_session", close)
        assert runner.run(script, body) is True
    assert calls == [("s", True)]
    assert opened == []


def test_a_shortened_request_owes_less(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the engine lets a request emit is what it is judged by, once the engine has received it."""
    runner = ScriptRunner()
    monkeypatch.setattr(runner.engine, "output_limits", lambda: {"a": 2})

    def body(t: ScriptedContext) -> Generator[None, None, Any]:
        with JudgedRun(t) as run:
            run.submit("a", _PROMPT, max_new_tokens=5)
            asked = run.wanted_outputs_of("a")
            yield from run.steps(1)
            return asked, run.wanted_outputs_of("a")

    assert runner.run(script, body) == (5, 2)


def test_a_mark_that_is_left_behind_is_tried_with_a_request() -> None:
    """A drained engine that is marked as full and lets nobody in has broken the promise of the mark."""

    def body(t: ScriptedContext) -> Generator[None, None, Any]:
        with JudgedRun(t) as run:
            run.submit("a", _PROMPT, max_new_tokens=2)
            yield from run.steps(4)
            t.engine.native.is_marked_full = True
            has_drained = yield from run.drain()
        t.engine.clear_full_mark()
        return has_drained, run.judgement

    has_drained, judgement = _run(body)
    assert has_drained
    assert _broken(judgement) == {"full flag"}


def test_a_mark_that_keeps_nobody_out_is_none() -> None:
    """A drained engine that admits the one more request has kept its promise, whatever it was marked."""

    def body(t: ScriptedContext) -> Generator[None, None, Any]:
        with JudgedRun(t) as run:
            run.submit("a", _PROMPT)
            yield from run.steps(4)
            is_marked = iter([True])
            t.engine.is_marked_full = lambda: next(is_marked, False)  # type: ignore[method-assign]
            yield from run.drain()
        return run.judgement

    assert _broken(_run(body)) == set()


def test_watchers_see_each_step_once() -> None:
    """A watcher is given the record of every step that the script has taken, in order."""

    def body(t: ScriptedContext) -> Generator[None, None, Any]:
        seen: list[int] = []
        with JudgedRun(t) as run:
            run.watchers.append(lambda step: seen.append(step.step))
            run.submit("a", _PROMPT, max_new_tokens=2)
            yield from run.steps(3)
        return seen

    assert _run(body) == [0, 1, 2]


# `judged_steps`.


def _steps(*, steps: int, release_before: int | None = None, prompt: int = 64, **more: Any) -> _Body:
    due = {0: [request("a", [101] * prompt, max_new_tokens=4)], 1: [request("b", [102] * 32)]}
    return lambda t: judged_steps(t, due, steps=steps, release_before=release_before, **more)


def test_a_run_that_has_drained_is_judged_as_drained() -> None:
    """A run that is over when its steps are has kept liveness, and what was never tried is not kept."""
    judgement = _run(_steps(steps=12, release_before=2))
    assert _broken(judgement) == set()
    expect_kept(judgement, "liveness")
    with pytest.raises(AssertionError, match="not judged"):
        expect_kept(judgement, next(one.promise for one in judgement.promises if not one.judged))


@pytest.mark.parametrize("release_before", [None, 1])
def test_only_a_run_that_was_to_drain_can_be_stuck(release_before: int | None) -> None:
    """A run that goes on is stuck only where the pressure was released early enough to ask for a drain."""
    judgement = _run(_steps(steps=3, release_before=release_before))
    assert _broken(judgement) == (set() if release_before is None else {"liveness"})
    expect_unbroken(judgement, "work conservation")  # a finding of another promise is none of this one
    if release_before is not None:
        with pytest.raises(AssertionError, match=r"^liveness: broken from step 1 on"):
            expect_unbroken(judgement, "liveness")


def test_pressure_is_released_before_the_step_that_was_named() -> None:
    """Until then nothing is given back; from that step on the requests run."""

    def body(t: ScriptedContext) -> Generator[None, None, Any]:
        t.exhaust(leave_pages=0, held=True)
        held: list[int] = []

        class _Looks:
            def on_step(self) -> None:
                held.append(t.pressure.holdings().held_tokens)

            def on_run_batch(self, batch: Any) -> None:
                assert held[-1] == 0 or len(held) >= 3, "a batch ran under pressure"

        t.observers.append(_Looks())
        yield from judged_steps(t, {0: [request("a", _PROMPT)]}, steps=8, release_before=4)
        return [one > 0 for one in held]

    assert _run(body) == [True] * 4 + [False] * 4


@pytest.mark.parametrize(
    ("acts", "modes"),
    [
        ({}, ["prefill", "decode", "decode", "decode", "idle"]),
        ({2: [("abort", "a")]}, ["prefill", "decode", "decode", "idle", "idle"]),
        (
            {1: [("pause_in_place", "")], 3: [("resume", "")]},
            ["prefill", "idle", "idle", "decode", "decode"],
        ),
        (
            {1: [("pause_retract", "")], 3: [("resume", "")]},
            ["prefill", "idle", "idle", "prefill", "decode"],
        ),
    ],
)
def test_acts_are_done_before_their_step(acts: dict[int, list[tuple[str, str]]], modes: list[str]) -> None:
    """An abort, either pause and the end of one act in the step that they are named for."""
    seen: list[str] = []

    def body(t: ScriptedContext) -> Generator[None, None, None]:
        def looked() -> None:
            last = t.observers[0].newest  # type: ignore[attr-defined]
            seen.append(last.mode)

        due = {0: [request("a", _PROMPT, max_new_tokens=4)]}
        steps = judged_steps(t, due, steps=5, acts=acts)
        next(steps)
        while True:
            yield
            looked()
            try:
                next(steps)
            except StopIteration:
                return

    _run(body)
    assert seen == modes


def test_an_unknown_act_is_refused() -> None:
    """A misspelt act fails the script, with those that there are, instead of doing nothing."""
    with pytest.raises(UsageError, match=r"acts: 'stop': expected one of abort, .*resume"):
        _run(_steps(steps=2, acts={1: [("stop", "a")]}))


def test_a_failed_script_watches_nothing_any_more() -> None:
    """When a script fails inside a judged run, the next script finds the engine unwrapped."""
    runner = ScriptRunner()

    def body(t: ScriptedContext) -> Generator[None, None, None]:
        with JudgedRun(t) as run:
            run.submit("a", _PROMPT)
            yield from run.steps(1)
            raise ZeroDivisionError

    with pytest.raises(ScriptFailedError):
        runner.run(script, body)
    for point in runner.engine.phase_points():
        assert point.name not in vars(point.owner)
    assert runner.hook is not None
    assert runner.hook.context.observers == []
