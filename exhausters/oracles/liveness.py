"""Once all pressure is released, the run drains."""

from __future__ import annotations

from exhausters.observe.step_record import IDLE, StepRecord
from exhausters.oracles.base import Oracle, World

STALLED, LIVELOCKED, STARVED = "stalled", "livelocked", "starved"
# Of the bound's end, that tells how the run is stuck.
_LOOK_BACK_STEPS = 64


class Liveness(Oracle):
    """A run without pressure ends within a bound.

    The bound is that of a scheduler that runs one request after the other and does everything twice; whoever
    drives the run computes it with `steps_to_drain` and says when it has passed.
    """

    name = "liveness"
    wants = (
        "once all pressure is released, the run drains within the steps that one request after another needs"
    )

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._recent: list[StepRecord] = []
        if world.engine.retracts_on_purpose():
            self.not_judged = "requests are retracted on purpose: a prompt of many chunks may never be done"

    def on_step(self, step: StepRecord) -> None:
        """Keep the newest steps."""
        self._recent.append(step)
        if len(self._recent) > 2 * _LOOK_BACK_STEPS:
            del self._recent[:-_LOOK_BACK_STEPS]

    def on_drained(self, step: int) -> None:
        """It has drained."""
        self.judged += not self.not_judged

    def on_stuck(self, *, bound_steps: int, released_step: int) -> None:
        """It has not drained within the bound: say how it is stuck, on what, and who holds it."""
        if self.not_judged:
            return
        self.judged += 1
        engine, recent = self.world.engine, self._recent[-_LOOK_BACK_STEPS:]
        waiting, running = engine.waiting_rids(), engine.running_rids()
        served = {rid for one in recent for rid in one.rids}
        retracted = sum(len(one.retracted_rids) for one in recent)
        if all(one.mode == IDLE for one in recent):
            kind = STALLED
        elif retracted and not _tokens_committed(recent):
            kind = LIVELOCKED
        else:
            kind = STARVED
        last = recent[-1]
        starved = tuple(rid for rid in waiting if rid not in served)
        forwards = sum(one.mode != IDLE for one in recent)
        self.found(
            f"{kind}: not drained {last.step - released_step:,} steps after the release (bound "
            f"{bound_steps:,}); {len(waiting)} wait, {len(running)} run, {engine.chunked_rid() or 'none'} is "
            f"being prefilled in chunks; in the last {len(recent)} steps {forwards} forwards and {retracted} "
            f"retractions; {last.free_tokens:,} + {last.evictable_tokens:,} evictable KV tokens and "
            f"{last.free_rows} rows are free, {last.in_use_tokens:,} tokens are held by "
            f"{', '.join(running) or 'none'}"
            + (f"; idle sessions keep {last.session_tokens:,}" if last.session_tokens else ""),
            step=last.step,
            first_step=released_step,
            rids=(starved or tuple(waiting or running))[:3],
            # A mark that stays on an empty batch keeps everybody out: another fault than a stuck queue.
            cause=f"{kind}, marked as full" if engine.is_marked_full() else kind,
        )


def _tokens_committed(steps: list[StepRecord]) -> bool:
    """Whether more tokens were emitted in these steps than retractions then dropped.

    Those of the last step may still be dropped.
    """
    emitted = sum(len(one.rids) - (one.chunked_rid in one.rids) for one in steps[:-1])
    return emitted > sum(len(one.dropped_rids) for one in steps)


def steps_to_drain(remaining: list[tuple[int, int]], *, chunk_tokens: int) -> int:
    """Return the steps in which a scheduler ends these requests one after the other, twice, and some more.

    Args:
        remaining: tokens of the prompt and of the outputs of each.
        chunk_tokens: tokens that a prefill computes at most; 0 or less for all.
    """
    total = 0
    for prompt, outputs in remaining:
        chunks = -(-(prompt + outputs) // chunk_tokens) if chunk_tokens > 0 else 1
        # Two steps more until its result is processed and the next one is admitted.
        total += chunks + outputs + 2
    return 2 * total + _LOOK_BACK_STEPS
