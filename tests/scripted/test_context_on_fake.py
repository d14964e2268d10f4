"""The hook and the context on the fake scheduler: what a script is promised, without SGLang."""

from __future__ import annotations

from array import array
from typing import Any

import pytest

from exhausters.errors import ResetError, ScriptFailedError, UsageError
from exhausters.scripted import reset
from exhausters.scripted.helpers import run_until_finished
from exhausters.worker.protocol import RunScript, ScriptFailed, ScriptRef, ScriptSucceeded, Shutdown
from exhausters.worker.script_ref import script_ref
from tests.fakes.fake_engine import ScriptRunner


def takes_everything_and_fails(t: Any) -> Any:
    t.exhaust_kv(leave_pages=1)
    t.exhaust_rows(leave_rows=1)
    t.start_req(prompt_len=16, max_new_tokens=400)
    yield
    raise ZeroDivisionError("on purpose")


def takes_nothing(t: Any) -> Any:
    yield
    return t.engine_stats()


def pauses_at_the_end(t: Any) -> Any:
    t.start_req(prompt_len=16, max_new_tokens=400)
    yield
    t.exhaust_kv(leave_pages=1)
    t.pause_generation(mode="in_place")


def returns_a_lambda(t: Any) -> Any:
    return lambda: None


def is_no_generator(t: Any, number: int) -> int:
    return number + 1


def raises_usage_error(t: Any) -> Any:
    yield
    t.start_req(prompt_len=0)


def fails_an_assertion(t: Any) -> Any:
    yield
    raise AssertionError("three is not four")


def _run(script: Any, *args: Any) -> RunScript:
    return RunScript(script=script_ref(script), args=args)


def test_reset_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between scripts: resume, release, abort, drain, flush, in that order, as SGLang's own hook does."""
    engine = ScriptRunner()
    told: list[str] = []
    scheduler, pool = engine.scheduler, engine.engine.kv_pool

    def note(owner: Any, name: str, word: str, *, least_pages: int = 0) -> None:
        original = getattr(owner, name)

        def noted(*args: Any) -> None:
            if not least_pages or len(args[0]) >= least_pages:
                told.append(word)
            original(*args)

        monkeypatch.setattr(owner, name, noted)

    for name in ("receive", "pause", "resume", "abort", "flush"):
        note(scheduler, name, name)
    note(scheduler.pages, "reset", "emptied")
    note(pool, "free", "release", least_pages=100)
    replies = engine.serve([_run(pauses_at_the_end), _run(takes_nothing)])
    assert [type(reply) for reply in replies] == [ScriptSucceeded, ScriptSucceeded]
    one_reset = ["abort", "flush", "emptied"]
    # The release follows the end of the first script at once; the pause is received in the step after.
    script = ["receive", "release", "pause"]
    assert told == [*one_reset, *script, "resume", *one_reset]


def test_a_failed_script_releases_exactly_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a script withheld is given back when it fails, once; the next script finds the engine whole."""
    engine = ScriptRunner()
    released: list[int] = []
    rows = engine.scheduler.rows
    give_back = rows.give_back

    def freed(indices: list[int]) -> None:
        if len(indices) > 1:
            released.append(len(indices))
        give_back(indices)

    monkeypatch.setattr(rows, "give_back", freed)
    failed, succeeded = engine.serve([_run(takes_everything_and_fails), _run(takes_nothing)])
    assert isinstance(failed, ScriptFailed)
    assert "ZeroDivisionError: on purpose" in failed.traceback
    assert failed.error is None
    assert isinstance(succeeded, ScriptSucceeded)
    assert released == [63]
    assert succeeded.value["kv_pool_free"] == 4096
    assert succeeded.value["req_pool_free"] == 64


def test_an_engine_that_does_not_drain_is_a_reset_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """When requests stay in spite of the abort, the script is not run, and the error says what is left."""
    engine = ScriptRunner()
    monkeypatch.setattr(engine.scheduler, "abort", lambda prefix: None)
    monkeypatch.setattr(reset, "DRAIN_MAX_STEPS", 5)
    engine.scheduler.receive("stuck", array("q", [1]), 10_000)
    with pytest.raises(ResetError, match=r"within 5 steps after an abort .* 0 wait, 1 are active"):
        engine.run(takes_nothing)


def test_without_reset_the_engine_is_left_as_it_was() -> None:
    """`reset=False` starts a script on whatever the one before left."""
    engine = ScriptRunner()
    engine.run(pauses_at_the_end)
    engine.run(takes_nothing, reset=False)
    assert engine.scheduler.is_paused
    assert not engine.scheduler.is_fully_idle()


@pytest.mark.parametrize("messages", [[], [Shutdown()], [Shutdown(), Shutdown()]])
def test_the_hook_ends_the_loop(messages: list[Any]) -> None:
    """On Shutdown, and when the host has gone, the loop ends with SystemExit and no reply."""
    assert ScriptRunner().serve(messages) == []


def test_scripts_after_a_shutdown_are_not_run() -> None:
    """Shutdown is the last message that is read."""
    assert len(ScriptRunner().serve([_run(takes_nothing), Shutdown(), _run(takes_nothing)])) == 1


def test_a_value_that_cannot_travel_fails_the_script() -> None:
    """A return value that cannot be pickled is a failure with a typed error; the next script runs."""
    failed, succeeded = ScriptRunner().serve([_run(returns_a_lambda), _run(takes_nothing)])
    assert isinstance(failed, ScriptFailed)
    assert isinstance(failed.error, UsageError)
    assert "cannot be pickled" in str(failed.error)
    assert isinstance(succeeded, ScriptSucceeded)


def test_a_plain_function_is_a_script_of_no_steps() -> None:
    """A function that is no generator runs between two steps, and its value comes back."""
    assert ScriptRunner().run(is_no_generator, 4) == 5


def test_own_errors_travel_typed_and_others_as_text() -> None:
    """An error of this project arrives as itself; anything else as a ScriptFailedError with its traceback."""
    engine = ScriptRunner()
    with pytest.raises(UsageError, match="prompt_len=0"):
        engine.run(raises_usage_error)
    with pytest.raises(ScriptFailedError, match="three is not four") as caught:
        engine.run(fails_an_assertion)
    assert isinstance(caught.value, AssertionError)


@pytest.mark.parametrize(
    ("qualname", "told"), [("no_such", "expected a function, found None"), ("pytest", "found <module")]
)
def test_a_script_that_is_not_there(qualname: str, told: str) -> None:
    """A name that is no function of the module is refused before the engine is touched."""
    (failed,) = ScriptRunner().serve([RunScript(script=ScriptRef(module=__name__, qualname=qualname))])
    assert isinstance(failed, ScriptFailed)
    assert told in str(failed.error)


def bad_arguments(t: Any) -> Any:
    found = []
    for attempt in (
        lambda: t.start_req(prompt_len=True),
        lambda: t.start_req(prompt_len="4"),
        lambda: t.pause_generation(mode="softly"),
        lambda: t.evict_radix(prefix_tokens=[1]),
        lambda: t.exhaust_kv(leave_pages=-1),
    ):
        try:
            attempt()
        except UsageError as error:
            found.append(str(error))
    return found


def test_bad_arguments_are_refused_at_once() -> None:
    """A wrong argument is a UsageError that names it, and nothing reaches the engine."""
    found = ScriptRunner().run(bad_arguments)
    assert [text.partition("=")[0] for text in found] == [
        "prompt_len",
        "prompt_len",
        "mode",
        "prefix_tokens",
        "leave_pages",
    ]


def looks_around(t: Any) -> Any:
    first = t.start_req(prompt_len=40, max_new_tokens=2)
    yield
    active = [req.rid for req in t.list_active_reqs()] == [first.rid]
    locked = first.lock_refs
    yield from run_until_finished(first)
    yield
    second = t.start_req(prompt_len=40, max_new_tokens=2)
    yield
    locks = t.get_all_node_lock_refs()
    hits = t.get_all_node_hit_counts()
    pages = second.kv_pages
    t.exhaust_lock_refs(leave_refs=0)
    pinned = t.pressure.lock_refs.pinned_nodes
    t.release_pressure()
    return {
        "active": active,
        "locked": locked,
        "locks": sorted(locks.values()),
        "hits": min(hits.values()),
        "pages": pages,
        "pinned": pinned,
        "second": second.lock_refs,
        "unreceived": t.has_unreceived,
    }


def test_questions_about_requests_and_nodes() -> None:
    """Handles and tree questions tell what the engine holds at that moment."""
    assert ScriptRunner().run(looks_around) == {
        "active": True,
        "locked": 1,  # nothing was cached: the request hangs at the root, which is always locked
        "locks": [1, 1],
        "hits": 2,
        "pages": 3,
        "pinned": 0,
        "second": 1,
        "unreceived": False,
    }
