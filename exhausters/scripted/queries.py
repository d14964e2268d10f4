"""Questions a script asks about its requests; nothing here changes the engine."""

from __future__ import annotations

from exhausters.engine.api import MIXED, PREFILL, Engine, RequestView
from exhausters.scripted.as_sglang import FinishedRequests
from exhausters.scripted.batch_log import BatchLog


class RequestQueries:
    """Answers from the engine as it is now, and from what was seen of a request before it left."""

    def __init__(self, engine: Engine, batch_log: BatchLog) -> None:
        self._engine = engine
        self._batch_log = batch_log
        self._seen_rids: set[str] = set()
        # Kept only for scripts that expect what SGLang's own runtime shows.
        self.finished: FinishedRequests | None = None

    def clear(self) -> None:
        """Forget every request: a new script begins."""
        self._seen_rids.clear()
        self.finished = None

    def find(self, rid: str) -> RequestView | None:
        """Return the request, or None when no queue or batch holds it (any more)."""
        request = self._engine.find_request(rid)
        if request is None and self.finished is not None:
            request = self.finished.find(rid)
        if request is not None:
            self._seen_rids.add(rid)
        return request

    def is_finished(self, rid: str) -> bool:
        """Whether `rid` was seen before, or ran, and is now held by nothing (or says so itself)."""
        request = self.find(rid)
        if request is not None:
            return request.is_finished
        if self._batch_log.has_run(rid):
            self._seen_rids.add(rid)
        return rid in self._seen_rids

    def status(self, rid: str) -> str:
        """Return `waiting`, `transferring` (of a disaggregated pair), `running`, `finished` or `unknown`."""
        if rid in self._engine.waiting_rids() or rid in self._engine.grammar_rids():
            return "waiting"
        transfers = self._engine.transfers
        if transfers is not None and rid in transfers.queues().transferring:
            self._seen_rids.add(rid)
            return "transferring"
        request = self.find(rid)
        if request is not None:
            return "finished" if request.is_finished else "running"
        return "finished" if rid in self._seen_rids else "unknown"

    def remaining_prompt_tokens(self, rid: str) -> int:
        """Prompt tokens whose KV is not committed yet; 0 for a request that is not there."""
        request = self.find(rid)
        return 0 if request is None else max(0, request.prompt_tokens - request.kv_committed_tokens)

    def kv_pages(self, rid: str) -> int:
        """Pages of KV the request holds; 0 when it holds none."""
        request = self.find(rid)
        return 0 if request is None else -(-request.kv_allocated_tokens // self._engine.kv_pool.page_size)

    def output_tokens(self, rid: str) -> int:
        """Tokens the request has emitted; 0 for a request that is not there."""
        request = self.find(rid)
        return 0 if request is None else request.output_tokens

    def lock_refs(self, rid: str) -> int:
        """Locks on the tree node at which the request's cached prefix ends."""
        self.find(rid)
        # Not of one that has just finished: it has given its locks back, and the node may be gone.
        request = self._engine.find_request(rid)
        if request is None or request.tree_node is None:
            return 0
        return self._engine.tree.lock_ref(request.tree_node)


def batch_composition(engine: Engine) -> dict[str, list[str]]:
    """Return request ids by role: `prefill` and `decode` (last batch), `chunked`, `running`."""
    chunked = engine.chunked_rid()
    composition: dict[str, list[str]] = {
        "prefill": [],
        "decode": [],
        "chunked": [] if chunked is None else [chunked],
        "running": engine.running_rids(),
    }
    last = engine.last_batch()
    if last is not None and last.engine_mode is not None:
        role = "prefill" if last.mode in (PREFILL, MIXED) else "decode"
        composition[role] = [rid for rid in last.rids if rid != chunked]
    return composition


def engine_stats(engine: Engine) -> dict[str, int]:
    """Return free KV tokens, free and all request rows, and tokens per page."""
    return {
        "kv_pool_free": engine.kv_pool.available_tokens(),
        "req_pool_free": engine.row_pool.available_rows(),
        "req_pool_total": engine.row_pool.total_rows,
        "page_size": engine.kv_pool.page_size,
    }
