"""A batch that is marked as full is full."""

from __future__ import annotations

from dataclasses import replace

from exhausters.observe.step_record import StepRecord
from exhausters.oracles.base import Oracle, World
from exhausters.oracles.room import STEPS_TO_ADMIT, room_for_all, room_in_words, why_unjudged


class FullFlag(Oracle):
    """The mark that keeps everybody out goes when there is room.

    A mark on a batch that nobody waits for does no harm, and newer schedulers take it off before they look at
    the queue: it counts only when requests are kept out by it, steps in a row.
    """

    name = "full flag"
    wants = (
        "the running batch is not marked as full while rows are free, all that wait would fit, and it is "
        f"smaller than its limit, for {STEPS_TO_ADMIT} steps in a row"
    )

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.not_judged = why_unjudged(world)
        self._since: int | None = None

    def on_step(self, step: StepRecord) -> None:
        """Count the steps in a row in which the mark has no reason."""
        if self.not_judged:
            return
        self.judged += step.waiting > 0
        is_explained = self.world.given_back.explains_mark(step.step)
        is_marked = self.world.engine.is_marked_full() and not is_explained
        demand = room_for_all(self.world, step) if is_marked else None
        if demand is None:
            self._since = None
            return
        self._since = step.step if self._since is None else self._since
        lasted = step.step - self._since + 1
        if lasted == STEPS_TO_ADMIT:
            batch = "an empty batch" if not demand.running else f"a batch of {demand.running}"
            self.found(
                f"{batch} is marked as full: {room_in_words(step, demand)}",
                step=step.step,
                first_step=self._since,
                rids=(demand.waiting_rid,),
                cause="empty batch" if not demand.running else "batch below its limit",
            )
        if lasted >= STEPS_TO_ADMIT:
            self.findings[-1] = replace(self.findings[-1], steps=lasted)

    def on_kept_out(self, step: int) -> None:
        """The drained engine has kept the mark, and a request out by it."""
        if not self.not_judged:
            self.found(
                "an idle engine is marked as full, and does not admit a request of one token",
                step=step,
                cause="idle engine",
            )
