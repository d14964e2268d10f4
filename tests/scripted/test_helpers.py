"""The helpers of chunked-prefill scripts on the fake scheduler: where they stop, and how they fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from exhausters.errors import ScriptFailedError
from exhausters.scripted.context import ScriptedContext
from exhausters.scripted.helpers import (
    LIFECYCLE_STAGES,
    advance_to_decode_step,
    advance_to_lifecycle_stage,
    advance_to_nth_chunk,
    exhaust_row_pool,
    run_until,
    run_until_all_finished,
    run_until_finished,
    warmup_radix,
)
from exhausters.scripted.req_handle import ScriptedReqHandle
from tests.fakes.fake_engine import ScriptRunner

_CHUNK = 256
_Helper = Callable[[ScriptedReqHandle], Iterator[None]]


def steps_one_request(t: ScriptedContext, helper: _Helper) -> Any:
    """Run a helper on a request of three chunks and four tokens, and look where it has stopped."""
    handle = t.start_req(rid="r", prompt_len=3 * _CHUNK, max_new_tokens=4)
    yield from helper(handle)
    return handle.chunks_done, handle.output_tokens, handle.finished


def steps_the_engine(t: ScriptedContext, helper: Callable[[ScriptedContext], Iterator[None]]) -> Any:
    """Run a helper that needs no request, and count its steps."""
    steps = 0
    for _ in helper(t):
        steps += 1
        yield
    return steps, t.engine_stats()["req_pool_free"], t.engine.tree.evictable_tokens()


def two_requests(t: ScriptedContext, max_steps: int) -> Any:
    """A short and a long one, waited for together."""
    handles = [t.start_req(rid=f"r{count}", prompt_len=16, max_new_tokens=count) for count in (1, 6)]
    yield from run_until_all_finished(handles, max_steps=max_steps)
    return [handle.finished for handle in handles], handles[1].output_tokens


@pytest.mark.parametrize(
    ("helper", "where"),
    [
        (lambda r: advance_to_nth_chunk(r, 2), (2, 0, False)),
        (lambda r: advance_to_decode_step(r, 3), (3, 3, False)),
        (lambda r: run_until(r, lambda one: one.output_tokens == 2), (3, 2, False)),
    ],
)
def test_a_helper_stops_where_it_is_told_to(helper: _Helper, where: tuple[int, int, bool]) -> None:
    """The request is at the chunk, the token or the state that was asked for, and no step further."""
    assert ScriptRunner().run(steps_one_request, helper) == where


def test_stages_come_in_the_order_of_a_requests_life() -> None:
    """Each stage of the list is one that a request reaches, later than the stage before it."""

    def to(stage: str) -> _Helper:
        return lambda r: advance_to_lifecycle_stage(r, stage, num_middle_chunks=2, max_new_tokens=4)

    found = [ScriptRunner().run(steps_one_request, to(stage)) for stage in LIFECYCLE_STAGES]
    assert found == [(1, 0, False), (2, 0, False), (3, 1, False), (3, 2, False), (3, 3, False)]


@pytest.mark.parametrize(
    ("helper", "said"),
    [
        (lambda r: advance_to_nth_chunk(r, 5), "'r' finished before chunk 5"),
        (lambda r: advance_to_nth_chunk(r, 3, max_steps=1), "'r' did not reach chunk 3"),
        (lambda r: advance_to_decode_step(r, 9), "'r' finished before output token 9"),
        (lambda r: advance_to_decode_step(r, 2, max_steps=3), "'r' did not reach output token 2"),
        (lambda r: run_until_finished(r, max_steps=3), "'r'"),
        (
            lambda r: advance_to_lifecycle_stage(r, "middle", num_middle_chunks=1, max_new_tokens=4),
            "stage='middle': expected one of",
        ),
    ],
)
def test_a_helper_that_cannot_get_there_fails_the_script(helper: _Helper, said: str) -> None:
    """What does not come within the steps, or can come no more, is an AssertionError that names it."""
    with pytest.raises(ScriptFailedError, match=said) as caught:
        ScriptRunner().run(steps_one_request, helper)
    assert isinstance(caught.value, AssertionError)


def test_all_requests_are_waited_for() -> None:
    """The steps end with the last of the requests; what had not ended in time is named, the rest is not."""
    assert ScriptRunner().run(two_requests, 20) == ([True, True], 6)
    with pytest.raises(ScriptFailedError, match=r"after 3 steps \['r6'\] had not finished"):
        ScriptRunner().run(two_requests, 3)


def test_a_warmed_prompt_is_in_the_tree() -> None:
    """Afterwards the tree has the prompt's whole pages, and no request holds anything."""
    _, free_rows, cached = ScriptRunner().run(steps_the_engine, lambda t: warmup_radix(t, [5] * 40))
    assert (free_rows, cached) == (64, 32)


@pytest.mark.parametrize("prompt", [[], [5, 6]])
def test_a_prompt_that_cannot_be_warmed_is_refused(prompt: list[int]) -> None:
    """The helper's prompts are one token over and over: another prompt would warm something else."""
    with pytest.raises(ScriptFailedError, match="expected a prompt of one or more equal tokens"):
        ScriptRunner().run(steps_the_engine, lambda t: warmup_radix(t, prompt))


def test_rows_are_filled_with_running_requests() -> None:
    """As many rows stay free as were asked for; where no more are free, nothing is started."""
    runner = ScriptRunner(max_running_requests=8)
    steps, free_rows, _ = runner.run(steps_the_engine, lambda t: exhaust_row_pool(t, leave_rows=3))
    assert (steps, free_rows) == (1, 3)
    assert runner.run(steps_the_engine, lambda t: exhaust_row_pool(t, leave_rows=8))[:2] == (0, 8)


def test_rows_that_cannot_be_filled_fail_the_script() -> None:
    """When the pages end before the rows do, the helper says how many rows are still free."""
    runner = ScriptRunner(max_total_tokens=64)
    with pytest.raises(ScriptFailedError, match="rows still free after 4 steps, expected at most 1"):
        runner.run(steps_the_engine, lambda t: exhaust_row_pool(t, leave_rows=1, max_steps=4))
