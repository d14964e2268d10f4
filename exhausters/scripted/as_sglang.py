"""What SGLang's own runtime shows a script beside the context: a log of batches, and what just finished."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from exhausters.engine.api import DECODE, IDLE, MIXED, PREFILL, BatchView, RequestView

# The names that SGLang's log has for the modes.
_MODES = {PREFILL: "extend", MIXED: "mixed", DECODE: "decode", IDLE: "idle"}


@dataclass(frozen=True, slots=True)
class ScriptedBatchRecord:
    """One forward batch, as SGLang's `scheduler_hook.ScriptedBatchRecord` has it.

    Attributes:
        forward_iter: number of the batch; here counted from 1 in each script.
        mode: `extend`, `mixed`, `decode` or `idle`.
        rids: its requests.
        extend_rids: the same where it computes prompt tokens, else none.
        chunked_rid: the request that is being prefilled in chunks, if any.
    """

    forward_iter: int
    mode: str | None
    rids: tuple[str, ...]
    extend_rids: tuple[str, ...]
    chunked_rid: str | None


@dataclass(slots=True)
class ShownHook:
    """Stands where scripts look for SGLang's hook (`t._scheduler_hook`); observes the script's batches."""

    _batch_log: list[ScriptedBatchRecord] = field(default_factory=list)

    def on_step(self) -> None:
        """Nothing happens between batches."""

    def on_run_batch(self, batch: BatchView) -> None:
        """Note a batch that is about to run."""
        extends = batch.mode in (PREFILL, MIXED)
        self._batch_log.append(
            ScriptedBatchRecord(
                forward_iter=len(self._batch_log) + 1,
                mode=_MODES[batch.mode],
                rids=batch.rids,
                extend_rids=batch.rids if extends else (),
                chunked_rid=batch.chunked_rid,
            )
        )


class FinishedRequests:
    """Requests that finished in the iteration before, for this one step.

    Up to July 2026 the last batch still held them, so that a script that waited for a request's end could
    read it (`r.req`). Newer schedulers let go of them at once. Where the scheduler still holds one, it is
    asked first. One that ends between two chunks of its prompt was in no last batch then either.
    """

    def __init__(self) -> None:
        self._unfinished: dict[str, RequestView] = {}
        self._just_finished: dict[str, RequestView] = {}

    def on_run_batch(self, batch: BatchView, requests: Iterable[RequestView]) -> None:
        """Note the requests of a batch that is about to run."""
        self._unfinished.update((request.rid, request) for request in requests)
        if batch.chunked_rid is not None:
            self._unfinished.pop(batch.chunked_rid, None)

    def on_step(self) -> None:
        """An iteration has ended: what finished in it is shown until the next one has."""
        self._just_finished = {rid: one for rid, one in self._unfinished.items() if one.is_finished}
        for rid in self._just_finished:
            del self._unfinished[rid]

    def find(self, rid: str) -> RequestView | None:
        """Return a request that finished in the last iteration, or None."""
        return self._just_finished.get(rid)
