"""SGLang's batches as the records of `exhausters.engine.api`."""

from __future__ import annotations

from typing import Any

from exhausters.engine.api import DECODE, IDLE, MIXED, PREFILL, BatchView, LastBatch
from exhausters.engine.sglang.drafts import SGLangDrafts


def view_batch(scheduler: Any, batch: Any, drafts: SGLangDrafts | None = None) -> BatchView:
    """Return the batch that `run_batch` was given, before it runs."""
    rids = tuple([req.rid for req in batch.reqs])
    chunked = scheduler.chunked_req
    chunked_rid = chunked.rid if chunked is not None else None
    mode = _mode(batch.forward_mode)
    if mode == DECODE:
        each = 1 if drafts is None else drafts.verified_tokens
        return BatchView(mode=DECODE, rids=rids, tokens=(each,) * len(rids), chunked_rid=chunked_rid)
    if mode == IDLE:
        return BatchView(mode=IDLE, rids=rids, chunked_rid=chunked_rid)
    # SGLang appends the decoding requests of a mixed batch, one token each.
    decoding = len(batch.decoding_reqs) if mode == MIXED and batch.decoding_reqs else 0
    return BatchView(
        mode=mode,
        rids=rids,
        tokens=tuple(batch.extend_lens),
        prefix_tokens=tuple(batch.prefix_lens),
        decoding_requests=decoding,
        chunked_rid=chunked_rid,
    )


def last_batch(scheduler: Any) -> LastBatch | None:
    """Return the batch that ran last, as far as SGLang still knows it."""
    last = scheduler.last_batch
    if last is None:
        return None
    mode = last.forward_mode
    return LastBatch(
        rids=() if last.is_empty() else tuple([req.rid for req in last.reqs]),
        mode=_mode(mode),
        engine_mode=None if mode is None else str(mode.name),
    )


def _mode(forward_mode: Any) -> str:
    # What has come from a prefill engine is put into a batch that runs no forward.
    if forward_mode is None or forward_mode.is_prebuilt():
        return IDLE
    if forward_mode.is_decode():
        return DECODE
    if forward_mode.is_extend():
        return MIXED if forward_mode.is_mixed() else PREFILL
    return IDLE
