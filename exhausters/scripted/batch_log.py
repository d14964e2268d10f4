"""What ran in which forward batch, kept so that a query costs no walk over the whole run."""

from __future__ import annotations

from collections import Counter

from exhausters.engine.api import MIXED, PREFILL, BatchView


class BatchLog:
    """Counts, for each request id, the forward batches it took part in since the last reset.

    A request that is prefilled in chunks is the scheduler's chunked request in every batch but its last one.
    A batch that runs while it is the chunked request but not part of the batch is a *park*.
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget everything: a new script begins."""
        self._held: Counter[str] = Counter()
        self._parked: Counter[str] = Counter()
        self._completed: set[str] = set()
        self._ran: set[str] = set()

    def record(self, batch: BatchView) -> None:
        """Note one forward batch that is about to run."""
        rids, chunked_rid = batch.rids, batch.chunked_rid
        self._ran.update(rids)
        if batch.mode in (PREFILL, MIXED):
            self._completed.update(rid for rid in rids if rid != chunked_rid)
        if chunked_rid is None:
            return
        if chunked_rid in rids:
            self._held[chunked_rid] += 1
        else:
            self._parked[chunked_rid] += 1

    def chunks_done(self, rid: str) -> int:
        """Chunks of `rid` that ran; 0 for a request that was prefilled in one piece."""
        held = self._held[rid]
        return held + (rid in self._completed) if held else 0

    def parks(self, rid: str) -> int:
        """Batches that ran without `rid` while it was the chunked request."""
        return self._parked[rid]

    def has_run(self, rid: str) -> bool:
        """Whether `rid` took part in any batch."""
        return rid in self._ran
