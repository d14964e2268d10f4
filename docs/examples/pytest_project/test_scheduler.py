"""Tests of a scheduler. A generator function with the marker is a script: each `yield` is one step."""

import pytest

from exhausters.scripted.helpers import run_until_all_finished, run_until_finished

# For every test of the file; a marker of a test's own wins, keyword by keyword.
pytestmark = pytest.mark.scripted_engine(max_total_tokens=4096, chunked_prefill_size=256)


def test_a_long_prompt_is_prefilled_in_chunks(t, prompt_tokens):
    """A prompt of 1,024 tokens takes four chunks of 256."""
    r = t.start_req(prompt_len=prompt_tokens, max_new_tokens=4)
    yield from run_until_finished(r)
    assert r.chunks_done == 4


@pytest.mark.parametrize("leave_pages", [2048, 1200])
def test_chunks_under_pressure(t, leave_pages):
    """It takes as many where hardly more pages are free than it needs."""
    t.exhaust_kv(leave_pages=leave_pages)
    r = t.start_req(prompt_len=1024, max_new_tokens=4)
    yield from run_until_finished(r)
    assert r.chunks_done == 4


@pytest.mark.scripted_engine(chunked_prefill_size=512)
def test_fewer_chunks_where_they_are_larger(t):
    """Chunks of 512 are half as many."""
    r = t.start_req(prompt_len=1024, max_new_tokens=4)
    yield from run_until_finished(r)
    assert r.chunks_done == 2


def free_tokens(t, requests):
    """A script that returns something; what it returns travels to the test."""
    handles = [t.start_req(prompt_len=64, prompt_token=2 + i, max_new_tokens=4) for i in range(requests)]
    yield from run_until_all_finished(handles)
    t.flush_cache()
    yield
    return t.engine_stats()["kv_pool_free"]


def test_nothing_is_lost(scripted_engine):
    """A plain test may run several scripts, and look at what they return."""
    assert scripted_engine.run(free_tokens, 1) == scripted_engine.run(free_tokens, 8)
