"""Questions a script asks of the scheduler; nothing here changes it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from exhausters.scripted.req_handle import kv_committed_tokens

if TYPE_CHECKING:
    from exhausters.scripted.context import ScriptedContext


def iter_requests(scheduler: Any) -> Iterator[Any]:
    """Yield every request that a queue or batch holds; one may come more than once."""
    if scheduler.chunked_req is not None:
        yield scheduler.chunked_req
    yield from scheduler.waiting_queue
    for batch in (scheduler.running_batch, scheduler.last_batch):
        if batch is not None:
            yield from batch.reqs


def find_req_by_rid(context: ScriptedContext, rid: str) -> Any | None:
    """Return SGLang's request object, or None."""
    for req in iter_requests(context.scheduler):
        if req.rid == rid:
            context.seen_rids.add(rid)
            return req
    return None


def is_finished(context: ScriptedContext, rid: str) -> bool:
    """Whether `rid` was seen before, or ran, and is now held by nothing (or says so itself)."""
    req = find_req_by_rid(context, rid)
    if req is not None:
        return bool(req.finished())
    if context.batch_log.has_run(rid):
        context.seen_rids.add(rid)
    return rid in context.seen_rids


def status(context: ScriptedContext, rid: str) -> str:
    """Return `waiting`, `running`, `finished` or `unknown`."""
    if any(req.rid == rid for req in context.scheduler.waiting_queue):
        return "waiting"
    req = find_req_by_rid(context, rid)
    if req is not None:
        return "finished" if req.finished() else "running"
    return "finished" if rid in context.seen_rids else "unknown"


def remaining_prompt_tokens(context: ScriptedContext, rid: str) -> int:
    """Prompt tokens whose KV is not committed yet; 0 for a request that is not there."""
    req = find_req_by_rid(context, rid)
    if req is None:
        return 0
    return max(0, len(req.origin_input_ids) - kv_committed_tokens(req))


def batch_composition(scheduler: Any) -> dict[str, list[str]]:
    """Return request ids by role: `prefill` and `decode` (last batch), `chunked`, `running`."""
    chunked = [scheduler.chunked_req.rid] if scheduler.chunked_req is not None else []
    running = scheduler.running_batch
    composition: dict[str, list[str]] = {
        "prefill": [],
        "decode": [],
        "chunked": chunked,
        "running": [req.rid for req in running.reqs] if running is not None else [],
    }
    last = scheduler.last_batch
    if last is not None and not last.is_empty() and last.forward_mode is not None:
        role = "prefill" if last.forward_mode.is_extend() else "decode"
        composition[role] = [req.rid for req in last.reqs if req.rid not in chunked]
    return composition


def is_idle(scheduler: Any) -> bool:
    """Whether nothing waits, runs, or is being prefilled in chunks."""
    running = scheduler.running_batch
    return (
        scheduler.chunked_req is None
        and len(scheduler.waiting_queue) == 0
        and (running is None or running.is_empty())
    )


def is_fully_idle(scheduler: Any) -> bool:
    """`is_idle`, and the last batch has nothing left to be processed either."""
    last = scheduler.last_batch
    return is_idle(scheduler) and (last is None or last.is_empty())


def last_batch_forward_mode(scheduler: Any) -> str | None:
    """Name of the last batch's forward mode, e.g. `EXTEND`; None before the first batch."""
    last = scheduler.last_batch
    if last is None or last.forward_mode is None:
        return None
    return str(last.forward_mode.name)


def engine_stats(scheduler: Any) -> dict[str, int]:
    """Return free KV tokens, free and all request rows, and tokens a page."""
    rows = scheduler.req_to_token_pool
    return {
        "kv_pool_free": int(scheduler.token_to_kv_pool_allocator.available_size()),
        "req_pool_free": int(rows.available_size()),
        "req_pool_total": int(rows.size),
        "page_size": int(scheduler.page_size),
    }
