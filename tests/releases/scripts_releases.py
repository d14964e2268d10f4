"""The scripts that every supported release must run. Run inside the worker."""

from __future__ import annotations

from typing import Any

from exhausters.scripted.helpers import advance_to_decode_step, run_until_all_finished, warmup_radix

PROMPT_TOKENS = 600
CHUNK_TOKENS = 128


def all_exhausters(t: Any, leave_rows: int | None = 2) -> Any:
    """A prompt in five chunks under all three exhausters at once, then the release of everything.

    `leave_rows` is None where rows cannot be withheld.
    """
    page_size = t.engine_stats()["page_size"]
    for token in (11, 12, 13):
        yield from warmup_radix(t, [token] * 64)
    total = t.engine_stats()

    t.exhaust_lock_refs(leave_refs=1)
    locked = sum(1 for locks in t.get_all_node_lock_refs().values() if locks)
    assert locked == len(t.get_all_node_lock_refs()) - 1, t.get_all_node_lock_refs()
    leave_pages = (PROMPT_TOKENS + 64) // page_size
    t.exhaust_kv(leave_pages=leave_pages)
    assert t.engine_stats()["kv_pool_free"] == leave_pages * page_size, t.engine_stats()
    if leave_rows is not None:
        t.exhaust_rows(leave_rows=leave_rows)
        assert t.engine_stats()["req_pool_free"] == leave_rows, t.engine_stats()
    held = t.pressure.holdings()
    assert held.held_tokens == total["kv_pool_free"] - leave_pages * page_size, held

    long = t.start_req(prompt_len=PROMPT_TOKENS, max_new_tokens=4, prompt_token=21)
    short = [t.start_req(prompt_len=16, max_new_tokens=4, prompt_token=30 + i) for i in range(3)]
    yield from run_until_all_finished([long, *short])
    assert long.chunks_done == -(-PROMPT_TOKENS // CHUNK_TOKENS), long.chunks_done

    t.release_pressure()
    while not t.is_fully_idle:
        yield
    yield
    assert not any(t.get_all_node_lock_refs().values()), t.get_all_node_lock_refs()
    return {"chunks": long.chunks_done, "locked": locked, "held_rows": held.held_rows}


def withhold_rows(t: Any) -> None:
    """Withhold rows, and nothing else."""
    t.exhaust_rows(leave_rows=2)


def retract_and_finish(t: Any) -> Any:
    """Pages taken from decoding requests force retractions; after the release all of them finish."""
    handles = [
        t.start_req(prompt_len=64, max_new_tokens=48, prompt_token=40 + index, ignore_eos=True)
        for index in range(6)
    ]
    for handle in handles:
        yield from advance_to_decode_step(handle, 2)
    t.exhaust_kv(leave_pages=0)
    for _ in range(100):
        if any(handle.status == "waiting" for handle in handles):
            break
        yield
    retracted = sum(handle.status == "waiting" for handle in handles)
    t.release_pressure()
    yield from run_until_all_finished(handles)
    return {"retracted": retracted}
