"""What happens to a request while it is served: it is aborted, or the engine is paused."""

from __future__ import annotations

from dataclasses import dataclass

from exhausters.errors import WorkloadError

# Stages of a request's life, in order. `retracted` is in the queue again after it ran.
WAITING, CHUNKED, RUNNING, RETRACTED, FINISHED = "waiting", "chunked", "running", "retracted", "finished"
STAGES = (WAITING, CHUNKED, RUNNING, RETRACTED, FINISHED)
# Before all of them, for a request with a grammar: it waits for that to be compiled.
COMPILING = "compiling"
# Abort it; pause the engine and give the KV of running requests back; pause it and keep that.
ABORT, PAUSE_RETRACT, PAUSE_IN_PLACE = "abort", "pause_retract", "pause_in_place"
ACTIONS = (ABORT, PAUSE_RETRACT, PAUSE_IN_PLACE)
# What ends a pause.
RESUME = "resume"
# How long a pause lasts. Well below what counts as a stall.
PAUSED_STEPS = 6


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """Something that happens once, after the first step at whose end its request is in a stage.

    A stage that its request never reaches brings no event.

    Args:
        action: one of `ACTIONS`; a pause stops the whole engine for `PAUSED_STEPS` steps.
        stage: one of `STAGES`, or `COMPILING`.

    Raises:
        WorkloadError: neither of them is known.
    """

    action: str
    stage: str

    def __post_init__(self) -> None:
        for name, value, known in (
            ("action", self.action, ACTIONS),
            ("stage", self.stage, (*STAGES, COMPILING)),
        ):
            if value not in known:
                raise WorkloadError(f"Event.{name}={value!r}: must be one of {', '.join(known)}")
