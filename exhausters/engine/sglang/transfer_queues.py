"""The queues of a scheduler that is one engine of a disaggregated pair, and the requests in them.

A prefill scheduler keeps requests in its bootstrap queue until the other side has answered, and in its
inflight queue until their KV is sent. A decode scheduler wraps each request until its KV is there: in the
preallocation queue, then in the transfer queue; those that it retracted wait in a list beside the former.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from exhausters.engine.api import DECODE_ROLE, PREFILL_ROLE, TransferQueues

_BOOTSTRAP, _INFLIGHT = "disagg_prefill_bootstrap_queue", "disagg_prefill_inflight_queue"
_PREALLOC, _TRANSFER = "disagg_decode_prealloc_queue", "disagg_decode_transfer_queue"
_NO_SLOT = -1


def role_of(scheduler: Any) -> str:
    """`prefill` or `decode`; empty for a scheduler that runs alone."""
    if getattr(scheduler, _BOOTSTRAP, None) is not None:
        return PREFILL_ROLE
    return DECODE_ROLE if getattr(scheduler, _PREALLOC, None) is not None else ""


class QueueReader:
    """Reads the queues of one scheduler; the scheduler may replace them at any step."""

    def __init__(self, scheduler: Any) -> None:
        self._scheduler = scheduler
        self.role = role_of(scheduler)

    def queues(self) -> TransferQueues:
        """Who waits for what."""
        scheduler = self._scheduler
        if self.role == PREFILL_ROLE:
            return TransferQueues(
                bootstrapping=_rids(getattr(scheduler, _BOOTSTRAP).queue),
                transferring=_rids(getattr(scheduler, _INFLIGHT)),
            )
        prealloc = getattr(scheduler, _PREALLOC)
        held = getattr(prealloc, "held_rebootstrap_reqs", ())
        return TransferQueues(
            bootstrapping=_rids([one.req for one in prealloc.queue if not one.waiting_for_input]),
            preallocating=_rids([one.req for one in prealloc.queue if one.waiting_for_input]),
            transferring=_rids([one.req for one in getattr(scheduler, _TRANSFER).queue]),
            retracted=_rids([*prealloc.retracted_queue, *held]),
        )

    def in_transfer(self) -> list[Any]:
        """The requests whose transfer has begun and not ended."""
        if self.role == PREFILL_ROLE:
            return list(getattr(self._scheduler, _INFLIGHT))
        return [one.req for one in getattr(self._scheduler, _TRANSFER).queue]

    def holders(self) -> Iterator[Any]:
        """Requests that may hold pages or a row, of those that are in no batch; one may come twice."""
        yield from self.in_transfer()
        # A decode engine's waiting requests have their KV, a prefill engine's may have been put back with it.
        yield from self._scheduler.waiting_queue

    def requests(self) -> Iterator[Any]:
        """Every request of these queues."""
        scheduler = self._scheduler
        if self.role == PREFILL_ROLE:
            yield from getattr(scheduler, _BOOTSTRAP).queue
        else:
            prealloc = getattr(scheduler, _PREALLOC)
            yield from (one.req for one in prealloc.queue)
            yield from prealloc.retracted_queue
            yield from getattr(prealloc, "held_rebootstrap_reqs", ())
        yield from self.in_transfer()

    def backed_up_tokens(self) -> int:
        """Tokens of the pool in host memory that keep the KV of retracted requests."""
        if self.role == PREFILL_ROLE:
            return 0
        backups = [_backup_of(req) for req in getattr(self._scheduler, _PREALLOC).retracted_queue]
        return sum(len(one.host_indices) for one in backups if getattr(one, "host_indices", None) is not None)

    def slots_in_use(self) -> int:
        """Slots for transfers that requests own."""
        scheduler = self._scheduler
        if self.role == PREFILL_ROLE:
            batches = [
                batch for batch in (scheduler.running_batch, scheduler.last_batch) if batch is not None
            ]
            in_batches = [req for batch in batches for req in batch.reqs]
            chunked = [] if scheduler.chunked_req is None else [scheduler.chunked_req]
            every = [*self.requests(), *scheduler.waiting_queue, *in_batches, *chunked]
            owners = {id(req): req for req in every}.values()
            return sum(int(getattr(req, "metadata_buffer_index", _NO_SLOT)) >= 0 for req in owners)
        transfer = getattr(scheduler, _TRANSFER)
        owned = sum(int(one.metadata_buffer_index) >= 0 for one in transfer.queue)
        return owned + len(getattr(transfer, "_deferred_releases", ()))


def open_queues(scheduler: Any) -> QueueReader | None:
    """The queues of a scheduler; None for one that runs alone."""
    return QueueReader(scheduler) if role_of(scheduler) else None


def _backup_of(req: Any) -> Any:
    return getattr(getattr(req, "kv", None), "retraction_backup", None)


def _rids(reqs: Any) -> tuple[str, ...]:
    return tuple([str(req.rid) for req in reqs])
