"""Bring the engine back to where a script may begin: resumed, released, drained, flushed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from exhausters.errors import ResetError

if TYPE_CHECKING:
    from exhausters.scripted.context import ScriptedContext

# The bound of SGLang's own hook.
DRAIN_MAX_STEPS = 200


def reset_engine(context: ScriptedContext) -> Iterator[None]:
    """Step the engine until nothing of an earlier script is left.

    The order is that of SGLang's hook: resume a paused engine (a paused one drains nothing), release
    the exhausted pools, abort, drain, flush. One idle iteration with nothing withheld ends it, in which
    SGLang runs its own leak check and resets its new-token ratio.

    Raises:
        ResetError: not fully idle within `DRAIN_MAX_STEPS` steps.
    """
    scheduler = context.scheduler
    # A script may have asked for a pause in its very last step: let the engine receive it first.
    if context.has_unreceived:
        yield
    if scheduler._engine_paused:
        context.continue_generation()
    context.release_pressure()
    context.abort_all()
    for _ in range(DRAIN_MAX_STEPS):
        yield
        if scheduler.is_fully_idle():
            break
    else:
        raise ResetError(
            f"the scheduler did not become fully idle within {DRAIN_MAX_STEPS} steps after an abort of all "
            f"requests: {len(scheduler.waiting_queue)} wait, {len(context.list_active_reqs())} are active"
        )
    context.flush_cache()
    yield
    yield
    context.forget_carryover()
