"""SGLang's request objects, and the queues and batches that hold them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from exhausters.engine.sglang.grammars import waiting_for_grammar
from exhausters.engine.sglang.transfer_queues import open_queues

# Where a stage of a pipeline keeps its batches: those that run, those that were formed, and those that ran
# last, whose requests may have ended.
_IN_FLIGHT = ("running_mbs", "mbs")
_RAN_LAST = ("last_mbs",)


@dataclass(frozen=True, slots=True)
class SGLangRequest:
    """`exhausters.engine.api.RequestView` over a request object."""

    native: Any

    @property
    def rid(self) -> str:
        """Its id."""
        return str(self.native.rid)

    @property
    def is_finished(self) -> bool:
        """Whether it has run to its end or was aborted."""
        return bool(self.native.finished())

    @property
    def prompt_tokens(self) -> int:
        """Length of its prompt."""
        return len(self.native.origin_input_ids)

    @property
    def output_tokens(self) -> int:
        """Tokens it has emitted."""
        return len(self.native.output_ids)

    @property
    def kv_committed_tokens(self) -> int:
        """KV tokens whose values are final; older releases keep the count on the request itself.

        In July 2026 the request had a container of its KV already, and this count beside it.
        """
        container = getattr(self.native, "kv", None)
        held_by = container if hasattr(container, "kv_committed_len") else self.native
        return int(getattr(held_by, "kv_committed_len", 0))

    @property
    def kv_allocated_tokens(self) -> int:
        """KV tokens allocated to it; older releases keep the count on the request itself."""
        container = getattr(self.native, "kv", self.native)
        if container is None:
            return 0
        if not getattr(container, "holds_kv", getattr(self.native, "req_pool_idx", None) is not None):
            return 0
        return int(container.kv_allocated_len)

    @property
    def tree_node(self) -> object | None:
        """The node, or its number, at which its cached prefix ends."""
        return getattr(self.native, "last_node", None)


def iter_requests(scheduler: Any) -> Iterator[Any]:
    """Yield every request that a queue or batch holds; one may come more than once."""
    if scheduler.chunked_req is not None:
        yield scheduler.chunked_req
    yield from scheduler.waiting_queue
    yield from waiting_for_grammar(scheduler)
    yield from _in_batches(scheduler)


def iter_begun(scheduler: Any) -> Iterator[Any]:
    """Yield those of them that run or are being prefilled."""
    if scheduler.chunked_req is not None:
        yield scheduler.chunked_req
    yield from _in_batches(scheduler)


def _in_batches(scheduler: Any) -> Iterator[Any]:
    pipelined = _batches(scheduler, (*_IN_FLIGHT, *_RAN_LAST))
    for batch in (scheduler.running_batch, scheduler.last_batch, *pipelined):
        if batch is not None:
            yield from batch.reqs
    queues = open_queues(scheduler)
    if queues is not None:
        yield from queues.requests()


def microbatches(scheduler: Any) -> list[Any]:
    """Every batch that a stage of a pipeline has in flight; none without stages."""
    return _batches(scheduler, _IN_FLIGHT)


def _batches(scheduler: Any, names: Iterable[str]) -> list[Any]:
    return [batch for name in names for batch in getattr(scheduler, name, ()) or () if batch is not None]
