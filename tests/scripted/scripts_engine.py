"""Scripts that act on the engine in every way a script can. Run inside the worker."""

from __future__ import annotations

from typing import Any

from exhausters.scripted.helpers import (
    advance_to_decode_step,
    run_until_all_finished,
    run_until_finished,
    warmup_radix,
)


def settle(t: Any) -> Any:
    """Step until nothing runs and the last batch is processed."""
    while not t.is_fully_idle or t.has_unreceived:
        yield
    yield


def has_radix_cache(t: Any) -> bool:
    return not t.scheduler.tree_cache.disable


def exhaust_twice(t: Any) -> Any:
    """Take twice, then release: what is free after each."""
    page_size = t.engine_stats()["page_size"]
    free = [t.engine_stats()["kv_pool_free"] // page_size]
    for leave_pages in (40, 50, 20):
        t.exhaust_kv(leave_pages=leave_pages)
        free.append(t.engine_stats()["kv_pool_free"] // page_size)
    t.release_pressure()
    t.release_pressure()
    free.append(t.engine_stats()["kv_pool_free"] // page_size)
    yield
    return free


def hold(t: Any) -> Any:
    """Held rows are taken again as soon as a request gives one back."""
    from exhausters.pressure import PressureLevels

    first = t.start_req(prompt_len=16, max_new_tokens=4, ignore_eos=True)
    yield from advance_to_decode_step(first, 1)
    t.apply_pressure(PressureLevels(leave_rows=1, held=True))
    free = [t.engine_stats()["req_pool_free"]]
    yield from run_until_finished(first)
    yield
    yield
    free.append(t.engine_stats()["req_pool_free"])
    return free


def long_prompt_in_a_tight_pool(t: Any, prompt_len: int) -> Any:
    """A long prompt with a few pages to spare, while a decoding request takes one after another."""
    page_size = t.engine_stats()["page_size"]
    decoding = t.start_req(prompt_len=16, max_new_tokens=32, prompt_token=3, ignore_eos=True)
    yield from advance_to_decode_step(decoding, 2)
    t.exhaust_kv(leave_pages=-(-(prompt_len + 128) // page_size))
    long = t.start_req(prompt_len=prompt_len, max_new_tokens=4, prompt_token=4, ignore_eos=True)
    was_chunking = False
    while not long.finished:
        yield
        was_chunking = was_chunking or long.is_chunking
    yield from run_until_finished(decoding)
    return {"chunks": long.chunks_done, "was_chunking": was_chunking, "left": long.remaining_prompt_tokens}


def wait_for_pages(t: Any) -> Any:
    """A request that finds no page waits, and is let in by the release."""
    t.exhaust_kv(leave_pages=0)
    handle = t.start_req(prompt_len=100, max_new_tokens=2)
    for _ in range(12):
        yield
    while_withheld = handle.status, handle.kv_pages
    t.release_pressure()
    yield from run_until_finished(handle)
    return while_withheld


def wait_for_a_row(t: Any) -> Any:
    """A request that finds no row waits, and is let in by the release."""
    t.exhaust_rows(leave_rows=0)
    handle = t.start_req(prompt_len=100, max_new_tokens=2)
    for _ in range(12):
        yield
    while_withheld = handle.status
    t.release_pressure()
    yield from run_until_finished(handle)
    return while_withheld


def resend_after_a_flood(t: Any, *pinned: bool) -> Any:
    """How many tokens of a prompt are still cached after other prompts have filled the pool."""
    total = t.engine_stats()["kv_pool_free"]
    yield from warmup_radix(t, [11] * 128)
    yield from settle(t)
    if pinned[0]:
        t.exhaust_lock_refs(leave_refs=0)
    for token in range(20, 20 + 2 * (total // 512)):
        flood = t.start_req(prompt_len=512, max_new_tokens=1, prompt_token=token)
        yield from run_until_finished(flood)
    again = t.start_req(prompt_len=128, max_new_tokens=8, prompt_token=11, ignore_eos=True)
    yield from advance_to_decode_step(again, 1)
    cached = int(again.req.cached_tokens)
    yield from run_until_finished(again)
    return cached


def pause_and_continue(t: Any, mode: str) -> Any:
    """What a decoding request holds while the engine is paused."""
    handle = t.start_req(prompt_len=64, max_new_tokens=12, ignore_eos=True)
    yield from advance_to_decode_step(handle, 3)
    t.pause_generation(mode=mode)
    yield
    yield
    tokens = len(handle.req.output_ids)
    for _ in range(5):
        yield
    paused = {
        "status": handle.status,
        "holds_pages": handle.kv_pages > 0,
        "stood_still": len(handle.req.output_ids) == tokens,
    }
    t.continue_generation()
    req = handle.req
    yield from run_until_finished(handle)
    return paused, len(req.output_ids)


def end_paused(t: Any, mode: str) -> Any:
    """Leave a paused engine, with a request under way and everything taken, to whoever comes next."""
    handle = t.start_req(prompt_len=64, max_new_tokens=1_000, ignore_eos=True)
    yield from advance_to_decode_step(handle, 2)
    t.exhaust_kv(leave_pages=0)
    t.pause_generation(mode=mode)


def abort_one(t: Any) -> Any:
    """Abort one of three, in the queue or running."""
    handles = [
        t.start_req(prompt_len=32, max_new_tokens=20, prompt_token=7 + i, ignore_eos=True) for i in range(3)
    ]
    yield from advance_to_decode_step(handles[1], 2)
    reqs = [handle.req for handle in handles]
    t.abort(handles[1])
    yield from run_until_all_finished(handles)
    return [len(req.output_ids) for req in reqs]


def abort_everything(t: Any) -> Any:
    """Abort running, chunking and waiting requests at once."""
    t.exhaust_rows(leave_rows=3)
    handles = [
        t.start_req(prompt_len=200, max_new_tokens=900, prompt_token=7 + i, ignore_eos=True) for i in range(6)
    ]
    for _ in range(4):
        yield
    before = sorted({handle.status for handle in handles})
    t.abort_all()
    yield from settle(t)
    return before, len(t.list_active_reqs())


def evict(t: Any, how: str) -> Any:
    """Nodes before and after an eviction of everything."""
    yield from warmup_radix(t, [9] * 128)
    yield from settle(t)
    before = len(t.get_all_node_lock_refs())
    if how == "evict_radix":
        t.evict_radix(prefix_tokens=None)
    else:
        t.flush_cache()
    yield
    yield
    return before, len(t.get_all_node_lock_refs())


def finish_by_priority(t: Any) -> Any:
    """The order in which three requests of unequal priority get the only row."""
    t.exhaust_rows(leave_rows=1)
    handles = {
        priority: t.start_req(prompt_len=16, max_new_tokens=3, priority=priority, prompt_token=3 + priority)
        for priority in (1, 9, 5)
    }
    order: list[int] = []
    for _ in range(200):
        yield
        order += [p for p, handle in handles.items() if handle.finished and p not in order]
        if len(order) == len(handles):
            break
    return order


def modes_while_chunking(t: Any) -> Any:
    """The forward modes of a long prompt beside a decoding request."""
    decoding = t.start_req(prompt_len=16, max_new_tokens=24, prompt_token=3, ignore_eos=True)
    yield from advance_to_decode_step(decoding, 2)
    long = t.start_req(prompt_len=500, max_new_tokens=4, prompt_token=4, ignore_eos=True)
    modes = set()
    while not long.finished:
        yield
        modes.add(t.last_batch_forward_mode)
    yield from run_until_finished(decoding)
    return sorted(mode for mode in modes if mode)


def output_lengths(t: Any, *settings: dict[str, Any]) -> Any:
    """Tokens that requests with these settings emit before they stop."""
    handles = [t.start_req(prompt_len=20 + i, **one) for i, one in enumerate(settings)]
    reqs: dict[str, Any] = {}
    for _ in range(100):
        reqs.update({handle.rid: handle.req for handle in handles if handle.req is not None})
        if all(handle.finished for handle in handles):
            break
        yield
    return [len(reqs[handle.rid].output_ids) for handle in handles]


def log_probabilities(t: Any) -> Any:
    """Lengths of the lists that a request with log-probabilities comes back with."""
    handle = t.start_req(
        prompt_len=40,
        max_new_tokens=4,
        return_logprob=True,
        logprob_start_len=0,
        top_logprobs_num=3,
        ignore_eos=True,
    )
    yield from advance_to_decode_step(handle, 1)
    req = handle.req
    yield from run_until_finished(handle)
    yield from settle(t)
    owner = getattr(req, "logprob", req)
    owner = owner if hasattr(owner, "output_token_logprobs_val") else req
    tops = owner.output_top_logprobs_val
    return len(owner.output_token_logprobs_val), [len(one) for one in tops], len(req.output_ids)
