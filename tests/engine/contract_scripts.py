"""Scripts that are run on the fake engine and on the real one; each returns plain values to compare.

They speak the api only. Imported in the worker too: nothing but the standard library and our own modules.
The engine has a page size of 16, chunks of 256 tokens, and does not overlap.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exhausters.engine.api import BatchView
from exhausters.errors import AllocationShortError, ConservationError
from exhausters.observe.forward_time import ConstantForwardTime
from exhausters.observe.recorder import Recorder
from exhausters.scripted.helpers import (
    advance_to_decode_step,
    run_until,
    run_until_all_finished,
    run_until_finished,
)


class Batches:
    """An observer that keeps every batch."""

    def __init__(self) -> None:
        self.batches: list[BatchView] = []

    def on_step(self) -> None: ...

    def on_run_batch(self, batch: BatchView) -> None:
        self.batches.append(batch)


class Events:
    """A listener that keeps what it is told."""

    def __init__(self) -> None:
        self.evictions: list[tuple[int, int, int]] = []
        self.retractions: list[tuple[dict[str, int], int]] = []

    def on_eviction(self, *, asked_tokens: int, freed_tokens: int, window_freed_tokens: int) -> None:
        self.evictions.append((asked_tokens, freed_tokens, window_freed_tokens))

    def on_retraction(self, *, own_tokens: Mapping[str, int], aborted: int) -> None:
        self.retractions.append((dict(own_tokens), aborted))


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
    """Prompt tokens found in the tree by the second of two equal prompts, from its first batch."""
    prefixes = []
    seen = Batches()
    t.observers.append(seen)
    for _ in range(2):
        handle = t.start_req(prompt_len=100, max_new_tokens=2)
        yield
        prefixes.append(seen.batches[-1].prefix_tokens[0])
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
    total = t.engine_stats()["kv_pool_free"] + t.engine.tree.evictable_tokens()
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
        lengths.append(handle.output_tokens)
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
    return {"before": before, "waiting": t.engine.waiting_count(), "has_run": handle.chunks_done}


def pause(t: Any, mode: str) -> Any:
    """What a paused engine holds and does, and that the request goes on to its end afterwards."""
    handle = t.start_req(prompt_len=20, max_new_tokens=12, ignore_eos=True)
    yield from advance_to_decode_step(handle, 4)
    t.pause_generation(mode=mode)
    yield
    paused = (handle.status, handle.output_tokens, handle.kv_pages)
    yield
    yield
    still = (handle.status, handle.output_tokens, handle.kv_pages)
    t.continue_generation()
    yield
    yield
    resumed = (handle.status, handle.output_tokens, handle.kv_pages)
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
    pools = t.engine.snapshot()
    return {
        "idle": t.is_fully_idle,
        "paused": t.engine.is_paused(),
        "held": t.pressure.holdings().held_tokens,
        "cached": pools.evictable_tokens + pools.protected_tokens,
        "stats": t.engine_stats(),
    }


def retraction(t: Any) -> Any:
    """Two decoding requests that together outgrow the pages that are left to them."""
    recorder = Recorder(
        engine=t.engine, clock=t.clock, pressure=t.pressure, forward_time=ConstantForwardTime()
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


def pools_by_hand(t: Any) -> Any:
    """Pages and rows taken from the pools themselves and given back; more than there is is refused."""
    kv, rows = t.engine.kv_pool, t.engine.row_pool
    free = [(kv.available_tokens(), rows.available_rows())]
    taking, taken_rows = kv.take(5 * kv.page_size), rows.take(3)
    free.append((kv.available_tokens(), rows.available_rows()))
    refused = []
    for pool, count in ((kv, kv.total_tokens), (rows, rows.total_rows)):
        try:
            pool.take(count)
        except AllocationShortError as error:
            refused.append((error.wanted_tokens, error.given_tokens))
    free.append((kv.available_tokens(), rows.available_rows()))
    kv.give_back(taking)
    rows.give_back(taken_rows)
    free.append((kv.available_tokens(), rows.available_rows()))
    yield
    return {"page_size": kv.page_size, "rows": len(set(taken_rows)), "free": free, "refused": refused}


def default_length(t: Any) -> Any:
    """Tokens that a request emits when nothing says how many."""
    handle = t.submit([7] * 20, sampling={"ignore_eos": True})
    yield from run_until_finished(handle)
    return handle.output_tokens


def boot_facts(t: Any) -> Any:
    """What the engine reports about itself."""
    return t.engine.facts()


def flushed_while_held(t: Any) -> Any:
    """What giving pages and rows back says after a flush, and what is free then."""
    pages, rows = t.engine.kv_pool, t.engine.row_pool
    t.engine.set_idle_checks(False)
    takings = [(pages, pages.take(4 * pages.page_size)), (rows, rows.take(5))]
    t.flush_cache()
    yield
    refused = []
    for pool, taking in takings:
        try:
            pool.give_back(taking)
        except ConservationError as error:
            refused.append("flush" in str(error))
    return refused, pages.available_tokens(), rows.available_rows()


def snapshots(t: Any) -> Any:
    """Where every token and row is: at first, in a prefill, decoding beside a cached prefix, and after it."""

    def look() -> tuple[int, ...]:
        one = t.engine.snapshot()
        tokens = (one.free_tokens, one.evictable_tokens, one.protected_tokens, one.in_use_tokens)
        assert sum(tokens) == t.engine.kv_pool.total_tokens
        assert one.free_rows + one.rows_in_use == t.engine.row_pool.total_rows
        assert (one.window_free_tokens, one.window_evictable_tokens, one.window_protected_tokens) == (0, 0, 0)
        # Whether the tree owns a prompt once it is computed or when its request ends is up to the engine.
        return (
            one.free_tokens,
            one.evictable_tokens,
            one.protected_tokens + one.in_use_tokens,
            one.rows_in_use,
        )

    seen = [look()]
    first = t.start_req(prompt_len=100, max_new_tokens=2)
    yield
    seen.append(look())
    yield from run_until_finished(first)
    yield
    seen.append(look())
    second = t.start_req(prompt_len=100, max_new_tokens=8, ignore_eos=True)
    yield from advance_to_decode_step(second, 2)
    seen.append(look())
    yield from run_until_finished(second)
    yield
    seen.append(look())
    return seen


def tree_by_hand(t: Any) -> Any:
    """The tree after two prompts with a common prefix: its walk, a pin of a leaf, and the pin given back."""
    shared = list(range(1000, 1032))
    sampling = {"max_new_tokens": 1}
    for tail in (2000, 3000):
        t.submit([*shared, *range(tail, tail + 33)], rid=str(tail), sampling=sampling)
        yield
        yield
    tree = t.engine.tree
    views = tree.walk()
    parents_first = all(view.parent < position for position, view in enumerate(views))
    inner = {view.parent for view in views}
    leaf = next(view for position, view in enumerate(views) if position not in inner)
    evictable = [tree.evictable_tokens()]
    receipt = tree.pin(leaf)
    locked = {view.node_id for view in tree.walk() if view.lock_refs}
    path, position = set(), views.index(leaf)
    while position >= 0:
        path.add(views[position].node_id)
        position = views[position].parent
    evictable.append(tree.evictable_tokens())
    held = tree.lock_ref(leaf.handle)
    tree.unpin(leaf.handle, receipt)
    evictable.append(tree.evictable_tokens())
    gone = leaf.handle
    t.flush_cache()
    yield
    return {
        "tokens": sum(view.token_count for view in views),
        "parents_first": parents_first,
        "leaves": len(views) - len(inner - {-1}),
        "locked_path": locked == path and len(path) > 0,
        "held": held,
        "evictable": evictable,
        "none": tree.lock_ref(None),
        "flushed": (tree.walk(), tree.evictable_tokens(), gone is not None),
    }


def watched(t: Any) -> Any:
    """Evictions and retractions while watched, and that nothing is reported afterwards."""
    events = Events()
    methods = [getattr(point.owner, point.name) for point in t.engine.phase_points()]
    stop = t.engine.watch(events)
    cached = t.start_req(prompt_len=32, max_new_tokens=1, prompt_token=9)
    yield from run_until_finished(cached)
    yield
    handles = [t.start_req(rid=rid, prompt_len=64, prompt_token=ord(rid), max_new_tokens=90) for rid in "ab"]
    try:
        yield
        yield
        t.exhaust_kv(leave_pages=2)
        yield from run_until_all_finished(handles)
        yield
    finally:
        stop()
        stop()
    told = (len(events.evictions), len(events.retractions))
    t.release_pressure()
    again = t.start_req(prompt_len=4000, max_new_tokens=1)
    yield from run_until_finished(again)
    return {
        "freed": sum(freed for _, freed, _ in events.evictions),
        "asked": all(asked > 0 for asked, _, _ in events.evictions),
        "window": {window for *_, window in events.evictions},
        "retracted": {rid for own, _ in events.retractions for rid in own},
        "own": [tokens for own, _ in events.retractions for tokens in own.values()],
        "aborted": sum(aborted for _, aborted in events.retractions),
        "silent": told == (len(events.evictions), len(events.retractions)),
        "unwrapped": methods == [getattr(point.owner, point.name) for point in t.engine.phase_points()],
    }


def batches(t: Any) -> Any:
    """Every batch of a decoding request and a chunked one beside it."""
    seen = Batches()
    runner = t.start_req(prompt_len=20, max_new_tokens=6, rid="runner", ignore_eos=True)
    t.observers.append(seen)
    yield
    yield
    chunked = t.start_req(prompt_len=300, max_new_tokens=1, prompt_token=7, rid="chunked")
    yield from run_until_finished(chunked)
    yield from run_until_finished(runner)
    return [
        (one.mode, one.rids, one.tokens, one.prefix_tokens, one.decoding_requests, one.chunked_rid)
        for one in seen.batches
    ]


def request_view(t: Any) -> Any:
    """What is told of a request: before it is received, while it decodes, and after it has left."""
    handle = t.start_req(prompt_len=40, max_new_tokens=4, rid="one", ignore_eos=True)
    before = t.engine.find_request("one")
    yield from advance_to_decode_step(handle, 2)
    request = t.engine.find_request("one")
    seen = (
        request.rid,
        request.prompt_tokens,
        request.output_tokens,
        request.is_finished,
        request.kv_committed_tokens,
        request.native is handle.req,
        t.engine.running_rids(),
        t.engine.waiting_rids(),
        t.engine.chunked_rid(),
        (t.engine.is_idle(), t.engine.is_fully_idle(), t.engine.is_drained()),
    )
    allocated = request.kv_allocated_tokens
    yield from run_until_finished(handle)
    yield
    yield
    return {
        "before": before,
        "seen": seen,
        "allocated": 41 <= allocated <= 48,
        "after": t.engine.find_request("one"),
        "idle": (t.engine.is_idle(), t.engine.is_fully_idle(), t.engine.is_drained()),
    }


def phase_methods(t: Any) -> Any:
    """The phases that have a method, and whether each is there."""
    yield
    points = (*t.engine.phase_points(), t.engine.matching_point())
    return sorted(point.phase for point in points if callable(getattr(point.owner, point.name, None)))


def demand(t: Any) -> Any:
    """What one running and two waiting requests may still take, while no further row is free."""
    idle = t.engine.demand()
    t.exhaust_rows(leave_rows=1)
    t.start_req(prompt_len=64, max_new_tokens=4, rid="runs", prompt_token=11)
    yield
    t.start_req(prompt_len=40, max_new_tokens=3, rid="short", prompt_token=12)
    t.start_req(prompt_len=75, max_new_tokens=5, rid="long", prompt_token=13)
    yield
    yield
    busy = t.engine.demand()
    least = t.engine.least_demand_tokens()
    seen = {"idle": idle, "busy": busy, "least": least, "held back": t.engine.why_held_back()}
    t.release_pressure()
    yield from run_until_idle(t)
    return seen


def prefixes(t: Any) -> Any:
    """What the tree keeps for a request that hits an earlier prompt, while it runs and afterwards."""
    t.start_req(prompt_len=64, max_new_tokens=1, prompt_token=21)
    yield from run_until_idle(t)
    t.start_req(prompt_len=64, max_new_tokens=6, rid="again", prompt_token=21)
    yield
    yield
    kept = t.engine.cached_prefixes()
    locked = t.engine.snapshot().protected_tokens
    yield from run_until_idle(t)
    return {
        "kept": {rid: tokens for rid, (tokens, _) in kept.items()},
        "has node": all(node is not None for _, node in kept.values()),
        "locked": locked,
        "after": (t.engine.cached_prefixes(), t.engine.snapshot().protected_tokens),
        "marked": t.engine.is_marked_full(),
    }


def run_until_idle(t: Any) -> Any:
    """Step until nothing is left."""
    for _ in range(200):
        yield
        if t.is_fully_idle and not t.has_unreceived:
            return
    raise AssertionError("not idle within 200 steps")
