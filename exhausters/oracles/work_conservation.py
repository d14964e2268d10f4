"""Who waits is admitted when rows and pages are free."""

from __future__ import annotations

from dataclasses import replace

from exhausters.observe.step_record import StepRecord
from exhausters.oracles.base import Oracle, World
from exhausters.oracles.room import STEPS_TO_ADMIT, room_for_all, room_in_words, why_unjudged


class WorkConservation(Oracle):
    """A request waits only for what is taken."""

    name = "work conservation"
    wants = (
        "a waiting request is admitted while a row and its pages are certainly free and nothing is being "
        f"prefilled, within {STEPS_TO_ADMIT - 1} steps"
    )

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.not_judged = why_unjudged(world)
        self._since: int | None = None
        self._was_marked = False

    def on_step(self, step: StepRecord) -> None:
        """Count the steps in a row in which all that wait would fit and nobody is admitted."""
        if self.not_judged:
            return
        self.judged += step.waiting > 0
        is_explained = self.world.given_back.explains_mark(step.step)
        demand = None if is_explained else room_for_all(self.world, step)
        if demand is None:
            self._since, self._was_marked = None, False
            return
        self._since = step.step if self._since is None else self._since
        # In any of the steps: the mark may go in the last of them, when a request leaves.
        self._was_marked = self._was_marked or self.world.engine.is_marked_full()
        lasted = step.step - self._since + 1
        if lasted == STEPS_TO_ADMIT:
            self.found(
                f"nothing is admitted while {step.waiting} wait: {room_in_words(step, demand)}"
                + ("; the running batch was marked as full" if self._was_marked else ""),
                step=step.step,
                first_step=self._since,
                rids=(demand.waiting_rid,),
                cause="marked full" if self._was_marked else "not marked full",
            )
        if lasted >= STEPS_TO_ADMIT:
            self.findings[-1] = replace(self.findings[-1], steps=lasted)
