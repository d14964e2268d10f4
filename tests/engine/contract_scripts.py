"""Scripts that are run on the fake scheduler and on the real one; each returns plain values to compare.

Imported in the worker too: nothing but the standard library and the project's own modules.
The engine has a page size of 16, chunks of 256 tokens, and does not overlap.
"""

from __future__ import annotations

from typing import Any

from exhausters.observe.forward_time import ConstantForwardTime
from exhausters.observe.recorder import Recorder
from exhausters.scripted.helpers import (
    advance_to_decode_step,
    run_until,
    run_until_all_finished,
    run_until_finished,
)


def reception(t: Any) -> Any:
    """Statuses of a request of one chunk and three output tokens, before and after each step."""
    handle = t.start_req(prompt_len=40, max_new_tokens=3)
    statuses = [handle.status]
    for _ in range(5):
        yield
        statuses.append(handle.status)
    return {"statuses": statuses, "finished": handle.finished}


def waits_for_a_row(t: Any) -> Any:
    """Status of a second request while the only row left is taken, then when it is free again."""
    t.exhaust_rows(leave_rows=1)
    first = t.start_req(prompt_len=20, max_new_tokens=8)
    second = t.start_req(prompt_len=20, max_new_tokens=2)
    yield
    statuses = [(first.status, second.status)]
    yield from run_until_finished(first)
    yield from run_until(second, lambda handle: handle.status == "running")
    statuses.append((first.status, second.status))
    yield from run_until_finished(second)
    statuses.append((first.status, second.status))
    return statuses


def chunks(t: Any) -> Any:
    """Chunks and tokens left of a prompt of three and a half chunks, after each step of its prefill."""
    handle = t.start_req(prompt_len=896, max_new_tokens=2)
    seen = []
    for _ in range(4):
        yield
        seen.append((handle.chunks_done, handle.is_chunking, handle.remaining_prompt_tokens))
    yield from run_until_finished(handle)
    return seen


def prefilled_in_one_piece(t: Any) -> Any:
    """Chunks of a prompt that fits the budget."""
    handle = t.start_req(prompt_len=256, max_new_tokens=2)
    yield from run_until_finished(handle)
    return handle.chunks_done


def conservation(t: Any) -> Any:
    """Free tokens and rows: before, while a request runs, after it, and after a flush."""
    stats = [t.engine_stats()]
    handle = t.start_req(prompt_len=100, max_new_tokens=4)
    yield
    stats.append(t.engine_stats())
    pages = handle.kv_pages
    yield from run_until_finished(handle)
    yield
    stats.append(t.engine_stats())
    t.flush_cache()
    yield
    stats.append(t.engine_stats())
    return {"stats": stats, "pages": pages}


def prefix_hit(t: Any) -> Any:
    """Prompt tokens found in the tree by the second of two equal prompts, from its first batch's lengths."""
    prefixes = []
    for _ in range(2):
        handle = t.start_req(prompt_len=100, max_new_tokens=2)
        yield
        prefixes.append(100 - sum(t.scheduler.last_batch.extend_lens))
        yield from run_until_finished(handle)
        yield
    return prefixes


def withheld_pages(t: Any) -> Any:
    """Free pages after taking, and the status of a request while they are withheld and after release."""
    t.exhaust_kv(leave_pages=3)
    free = t.engine_stats()["kv_pool_free"]
    held = t.pressure.kv_pool.held_pages
    handle = t.start_req(prompt_len=100, max_new_tokens=4)
    withheld = []
    for _ in range(5):
        yield
        withheld.append(handle.status)
    t.release_pressure()
    yield
    released = handle.status
    yield from run_until_finished(handle)
    total = t.engine_stats()["kv_pool_free"] + t.scheduler.tree_cache.evictable_size()
    return {
        "free": free,
        "held_and_free": held * 16 + free,
        "withheld": withheld,
        "released": released,
        "after": total,
    }


def output_tokens(t: Any) -> Any:
    """Steps that a request of six output tokens takes, and the tokens emitted on the way."""
    handle = t.start_req(prompt_len=20, max_new_tokens=6, ignore_eos=True)
    lengths = []
    for _ in range(5):
        yield
        lengths.append(len(handle.req.output_ids))
    steps = 5
    while not handle.finished:
        yield
        steps += 1
    return {"lengths": lengths, "steps": steps}


def roles(t: Any) -> Any:
    """Roles of a decoding request, then of a chunked one beside it."""
    runner = t.start_req(prompt_len=20, max_new_tokens=40, rid="runner", ignore_eos=True)
    yield
    seen = [(t.batch_composition(), t.last_batch_forward_mode)]
    yield
    seen.append((t.batch_composition(), t.last_batch_forward_mode))
    chunked = t.start_req(prompt_len=300, max_new_tokens=2, rid="chunked")
    yield
    seen.append((t.batch_composition(), t.last_batch_forward_mode))
    yield from run_until_finished(chunked)
    yield from run_until_finished(runner)
    return seen


def abort_running(t: Any) -> Any:
    """Statuses after the abort of a decoding request; the engine is empty soon."""
    handle = t.start_req(prompt_len=20, max_new_tokens=500, ignore_eos=True)
    yield from advance_to_decode_step(handle, 3)
    t.abort(handle)
    yield
    yield
    return {"status": handle.status, "idle": t.is_fully_idle}


def abort_waiting(t: Any) -> Any:
    """A waiting request is gone in the step in which the abort is received."""
    t.exhaust_kv(leave_pages=0)
    handle = t.start_req(prompt_len=20, max_new_tokens=5)
    yield
    before = handle.status
    t.abort(handle)
    yield
    return {"before": before, "waiting": len(t.scheduler.waiting_queue), "has_run": handle.chunks_done}


def pause(t: Any, mode: str) -> Any:
    """What a paused engine holds and does, and that the request goes on to its end afterwards."""
    handle = t.start_req(prompt_len=20, max_new_tokens=12, ignore_eos=True)
    yield from advance_to_decode_step(handle, 4)
    t.pause_generation(mode=mode)
    yield
    paused = (handle.status, len(handle.req.output_ids), handle.kv_pages)
    yield
    yield
    still = (handle.status, len(handle.req.output_ids), handle.kv_pages)
    t.continue_generation()
    yield
    yield
    resumed = (handle.status, len(handle.req.output_ids), handle.kv_pages)
    yield from run_until_finished(handle)
    return {"paused": paused, "still": still, "resumed": resumed}


def left_behind(t: Any) -> Any:
    """Leaves a running, a chunked and a waiting request, withheld pages and a pause behind."""
    t.start_req(prompt_len=20, max_new_tokens=500, ignore_eos=True)
    yield
    t.start_req(prompt_len=900, max_new_tokens=500, ignore_eos=True)
    t.start_req(prompt_len=900, max_new_tokens=500, ignore_eos=True)
    yield
    t.exhaust_kv(leave_pages=2)
    t.pause_generation(mode="in_place")


def clean_start(t: Any) -> Any:
    """What a script finds when it begins."""
    yield
    cache = t.scheduler.tree_cache
    return {
        "idle": t.is_fully_idle,
        "paused": t.scheduler._engine_paused,
        "held": t.pressure.holdings().held_tokens,
        "cached": cache.evictable_size() + cache.protected_size(),
        "stats": t.engine_stats(),
    }


def retraction(t: Any) -> Any:
    """Two decoding requests that together outgrow the pages that are left to them."""
    recorder = Recorder(
        scheduler=t.scheduler, clock=t.clock, pressure=t.pressure, forward_time=ConstantForwardTime()
    )
    recorder.start()
    t.observers.append(recorder)
    handles = [
        t.start_req(rid=rid, prompt_len=64, prompt_token=token, max_new_tokens=90)
        for token, rid in ((3, "first"), (4, "second"))
    ]
    try:
        yield
        yield
        t.exhaust_kv(leave_pages=2)
        yield from run_until_all_finished(handles)
        yield
    finally:
        recorder.stop()
    return {
        "finished": [handle.finished for handle in handles],
        "retracted": sum(len(record.retracted_rids) for record in recorder.log),
        "outputs": dict(recorder.outputs),
    }
