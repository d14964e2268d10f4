"""What finished is found again, as long as nothing was evicted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from exhausters.observe.step_record import DECODE, IDLE, StepRecord
from exhausters.oracles.base import Oracle, World

# A finished request is in the cache at the end of the step in which its result is processed: that of its last
# forward, or with overlap the one after. The step after that can find it.
_STEPS_TO_CACHE = 2


class CacheHonesty(Oracle):
    """A prompt hits at least what finished requests left, up to the first eviction.

    Pages of requests that still run may be hit too, so more than the ceiling of finished ones is no finding.
    The last token of a prompt is always computed, and the last output never cached.
    """

    name = "cache honesty"
    wants = (
        "while nothing was evicted, a new prompt hits every whole page that a finished request's prompt and "
        "outputs share with it"
    )

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._page = world.facts.page_size
        self._children: dict[tuple[int, tuple[int, ...]], int] = {}
        self._adapters = {"": 0}
        self._seen: set[str] = set()
        self._refused: set[str] = set()
        self._emitted: Counter[str] = Counter()
        # Of the last forward.
        self._last: frozenset[str] = frozenset()
        self._last_step = 0
        self._due: list[tuple[int, str]] = []
        if world.engine.tree.is_disabled:
            self.not_judged = "the radix cache is off"
        elif world.engine.kv_pool.window_total_tokens is not None or world.facts.window_pool_unchecked:
            self.not_judged = "what a sliding window keeps of a finished request is the engine's choice"
        elif world.engine.mamba_pool is not None or world.facts.mamba_slots_unchecked:
            self.not_judged = "at which tokens of a finished request a state is kept is the engine's choice"

    def on_step(self, step: StepRecord) -> None:
        """Judge the requests that were prefilled for the first time; note those that end."""
        if self.not_judged:
            return
        if step.evict_given_tokens or step.retracted_rids or step.preempted_rids or step.memory_aborts:
            self.not_judged = f"from step {step.step} on, where pages were evicted or given back"
            self._children.clear()
            return
        if self.world.engine.is_paused():
            # Whoever is paused may have given back what was computed, outputs included.
            self.not_judged = f"from step {step.step} on, where the engine was paused"
            self._children.clear()
            return
        if step.mode == IDLE:
            return
        self._note_ends(step)
        while self._due and self._due[0][0] < step.step:
            self._insert(self._due.pop(0)[1])
        if step.mode != DECODE:
            self._judge(step)
        # Without a loop of our own: decode batches are large, and every step has one.
        self._emitted.update(step.rids)
        if step.chunked_rid in step.rids:
            self._emitted[step.chunked_rid] -= 1
        self._last, self._last_step = frozenset(step.rids), step.step

    def on_flush(self) -> None:
        """What finished requests have left is gone."""
        self._children.clear()
        self._due.clear()
        self._last = frozenset()

    def _note_ends(self, step: StepRecord) -> None:
        """Of those that ran in the last forward and not in this one, note who has emitted all."""
        for rid in sorted(self._last.difference(step.rids)):
            # The overlap loop may decode a finished request once more.
            beyond = self._emitted[rid] - self.world.requests.wanted_outputs_of(rid)
            if beyond >= 0 and rid not in self._refused:
                self._due.append((self._last_step - beyond + _STEPS_TO_CACHE - 1, rid))

    def _judge(self, step: StepRecord) -> None:
        for rid, hit, computed in zip(step.rids, step.prefix_tokens, step.tokens, strict=False):
            if rid in self._seen:
                continue
            self._seen.add(rid)
            prompt = self.world.requests.prompt(rid)
            if not prompt or self.world.requests.is_scored(rid):
                continue
            if hit + computed < len(prompt) and rid != step.chunked_rid:
                # It was refused: what is computed in the place of its prompt leaves nothing of it behind.
                self._refused.add(rid)
                continue
            self.judged += 1
            ceiling = self._matched(prompt[:-1], self.world.requests.adapter_of(rid))
            if hit < ceiling:
                self.found(
                    f"{rid} hits {hit:,} of {len(prompt):,} prompt tokens, and finished requests have left "
                    f"{ceiling:,} of them in the cache, from which nothing was evicted",
                    step=step.step,
                    rids=(rid,),
                )

    def _insert(self, rid: str) -> None:
        prompt = self.world.requests.prompt(rid)
        outputs = self.world.text.after(prompt, self.world.requests.wanted_outputs_of(rid) - 1)
        sequence = [*prompt, *outputs]
        node = self._root(self.world.requests.adapter_of(rid))
        for page in self._pages(sequence):
            node = self._children.setdefault((node, page), len(self._children) + 1)

    def _root(self, adapter: str) -> int:
        """Where the prefixes of an adapter begin; 0 for the base model."""
        return -self._adapters.setdefault(adapter, len(self._adapters))

    def _matched(self, tokens: Sequence[int], adapter: str) -> int:
        node = self._root(adapter)
        pages = 0
        for page in self._pages(tokens):
            found = self._children.get((node, page))
            if found is None:
                break
            node, pages = found, pages + 1
        return pages * self._page

    def _pages(self, tokens: Sequence[int]) -> Iterator[tuple[int, ...]]:
        for first in range(0, len(tokens) - self._page + 1, self._page):
            yield tuple(tokens[first : first + self._page])
