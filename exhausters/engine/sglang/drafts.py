"""The drafts of a speculative worker: how many are verified, and what they hold of the KV pool."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

from exhausters.engine.api import DraftListener
from exhausters.engine.sglang.requests import SGLangRequest
from exhausters.engine.wrap import wrap_calls
from exhausters.errors import SeamError

# How SGLang's batches reckon what a decode takes for a request.
_RESERVE = "get_alloc_reserve_per_decode"


class SGLangDrafts:
    """`exhausters.engine.api.Drafts` over a scheduler with a speculative worker."""

    def __init__(self, scheduler: Any) -> None:
        self._scheduler = scheduler
        self._page = int(scheduler.page_size)
        worker = scheduler.draft_worker
        self.verified_tokens = int(worker.speculative_num_draft_tokens)
        self._tokens_ahead = _tokens_ahead()

    @property
    def tokens_per_decode(self) -> int:
        """KV tokens that one request may take for a decode, whole pages."""
        return -(-self._tokens_ahead // self._page) * self._page + self._page

    def reserved_tokens(self, requests: Sequence[Any]) -> int:
        """KV tokens that these requests hold beyond those whose values are final."""
        views = map(SGLangRequest, requests)
        return sum(max(0, one.kv_allocated_tokens - one.kv_committed_tokens) for one in views)

    def watch(self, listener: DraftListener) -> Callable[[], None]:
        """Tell `listener` what is verified, taken and given back; see `Drafts.watch`."""
        before: list[int] = []

        def note_result(result: Any, batch: Any) -> None:
            # A prefill verifies nothing, whatever its result says.
            lengths = getattr(result, "accept_lens", None)
            if lengths is not None and batch.forward_mode.is_decode():
                listener.on_verified(tuple(lengths.tolist()))

        def note_holdings(batch: Any) -> None:
            before.append(self._allocated(batch.reqs))

        def note_taken(_result: Any, batch: Any) -> None:
            listener.on_kv_taken(self._allocated(batch.reqs) - before.pop())

        def note_released(req: Any) -> None:
            listener.on_kv_returned(self._unused(req))

        scheduler = self._scheduler
        batch_class = type(scheduler.running_batch)
        with ExitStack() as wrappers:
            wrappers.callback(wrap_calls(scheduler, "run_batch", note_result))
            wrappers.callback(wrap_calls(batch_class, "prepare_for_decode", note_taken, note_holdings))
            rows = scheduler.req_to_token_pool
            wrappers.callback(wrap_calls(rows, "free", lambda _result, _req: None, note_released))
            return wrappers.pop_all().close

    def _allocated(self, requests: Sequence[Any]) -> int:
        return sum(SGLangRequest(req).kv_allocated_tokens for req in requests)

    def _unused(self, req: Any) -> int:
        """Tokens that a request, whose row is being freed, had behind those that it owns, whole pages."""
        owned = getattr(req, "owned_kv_len", None)
        view = SGLangRequest(req)
        kept = owned() if callable(owned) else view.kv_committed_tokens
        return max(0, view.kv_allocated_tokens - -(-kept // self._page) * self._page)


def open_drafts(scheduler: Any) -> SGLangDrafts | None:
    """Return the drafts of a scheduler; None without a speculative worker."""
    return None if getattr(scheduler, "draft_worker", None) is None else SGLangDrafts(scheduler)


def reserves_ahead() -> bool:
    """Whether this SGLang's batches reserve KV for drafts, as every release since 0.5.13 does."""
    batches = importlib.import_module("sglang.srt.managers.schedule_batch")
    return hasattr(batches, _RESERVE)


def _tokens_ahead() -> int:
    """KV tokens that SGLang reserves for a request at each decode.

    Raises:
        SeamError: this SGLang says it nowhere known.
    """
    # Where it is needed it is imported by this name, wherever a release defines it.
    batches: Any = importlib.import_module("sglang.srt.managers.schedule_batch")
    reckon = getattr(batches, _RESERVE, None)
    if reckon is None:
        raise SeamError(f"this SGLang's batches have no {_RESERVE}")
    return int(reckon())
