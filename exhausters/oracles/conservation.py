"""Every page and every row is somewhere, once."""

from __future__ import annotations

from dataclasses import replace

from exhausters.observe.conservation import PoolCount, describe
from exhausters.observe.step_record import StepRecord
from exhausters.oracles.base import Oracle, World


class Conservation(Oracle):
    """The parts of each pool add up to its total after every step.

    The recorder counts them; whoever drives the run hands on what it found. What is lost stays lost, so each
    pool is told once in each direction, with the number of steps.
    """

    name = "conservation"
    wants = (
        "after every step free, held, cached and used units of each pool (KV tokens, window tokens, host "
        "tokens, mamba slots, adapter slots, request rows) add up to its total"
    )

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._places: dict[str, int] = {}
        if world.facts.window_pool_unchecked:
            self.not_judged = f"the window pool: {world.facts.window_pool_unchecked}"
        elif world.facts.mamba_slots_unchecked:
            self.not_judged = f"the mamba slots: {world.facts.mamba_slots_unchecked}"
        elif world.engine.host_pool is not None and world.engine.kv_pool.window_total_tokens is not None:
            self.not_judged = "the window's own pool in host memory: nothing counts what the tree keeps there"

    def on_step(self, step: StepRecord) -> None:
        """The recorder has counted this step."""
        self.judged += 1

    def on_unbalanced(self, counts: tuple[PoolCount, ...], step: StepRecord) -> None:
        """These pools do not add up after a step."""
        for count in counts:
            cause = f"{count.pool} {'leaked' if count.missing > 0 else 'counted twice'}"
            place = self._places.setdefault(cause, len(self.findings))
            if place < len(self.findings):
                known = self.findings[place]
                self.findings[place] = replace(known, steps=known.steps + 1)
            else:
                held = self.world.pressure.holdings()
                self.found(
                    f"{describe(count, step=step.step)}; held by pressure: {held}",
                    step=step.step,
                    rids=step.rids[:3],
                    cause=cause,
                )
