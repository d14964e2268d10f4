"""Nobody is retracted while the pages for the decode are there."""

from __future__ import annotations

from exhausters.engine.api import PoolSnapshot
from exhausters.observe.step_record import StepRecord
from exhausters.oracles.base import Oracle, World


class BudgetHonesty(Oracle):
    """Requests are retracted, or given up, only for want of pages.

    Judged in the moment in which the engine has decided to retract: a decode takes at most one page for each
    running request; with drafts, what the engine may reserve for it. Of a hybrid model evictable tokens do
    not count: what can be evicted of one pool need not free the other.
    """

    name = "budget honesty"
    wants = (
        "requests are retracted, or given up, only if there is not a page, free or evictable, for each "
        "running request"
    )

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._before: tuple[PoolSnapshot, tuple[str, ...]] | None = None
        self._step = 0
        if world.engine.retracts_on_purpose():
            self.not_judged = "requests are retracted on purpose"

    def on_step(self, step: StepRecord) -> None:
        """Know the number of the step that is under way."""
        self._step = step.step + 1

    def before_retraction(self, rids: tuple[str, ...]) -> None:
        """Read the pools in which no page was found."""
        self._before = self.world.engine.snapshot(), rids

    def on_retraction(self, aborted: int) -> None:
        """Judge."""
        if self._before is None or self.not_judged:
            return
        self.judged += 1
        pools, running = self._before
        self._before = None
        window_tokens = self.world.engine.kv_pool.window_total_tokens
        drafts = self.world.engine.drafts
        each = self.world.facts.page_size if drafts is None else drafts.tokens_per_decode
        pages = len(running) * each
        room = pools.free_tokens + (pools.evictable_tokens if window_tokens is None else 0)
        if room < pages or (window_tokens is not None and pools.window_free_tokens < pages):
            return
        what = f"{aborted} requests are given up" if aborted else "requests are retracted"
        self.found(
            f"{what} while {pools.free_tokens:,} KV tokens are free and {pools.evictable_tokens:,} "
            f"evictable; the {len(running)} running requests take at most {pages:,} in the step",
            step=self._step,
            rids=running[-3:],
            cause="given up" if aborted else "retracted",
        )
