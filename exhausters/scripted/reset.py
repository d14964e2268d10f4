"""Bring the engine back to where a script may begin: resumed, released, drained, flushed."""

from __future__ import annotations

from collections.abc import Iterator

from exhausters.errors import ResetError
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
    engine = context.engine
    # A script may have asked for a pause in its very last step: let the engine receive it first.
    if context.has_unreceived:
        yield
    if engine.is_paused():
        context.continue_generation()
    context.release_pressure()
    context.abort_all()
    for _ in range(DRAIN_MAX_STEPS):
        yield
        if engine.is_drained():
            break
    else:
        raise ResetError(
            f"the scheduler did not become fully idle within {DRAIN_MAX_STEPS} steps after an abort of all "
            f"requests: {engine.waiting_count()} wait, {len(context.list_active_reqs())} are active"
        )
    if engine.open_sessions():
        # What a session keeps would be handed out anew by the flush.
        for name in engine.open_sessions():
            engine.close_session(name)
        yield
    context.flush_cache()
    yield
    context.expect_balance()
    yield
    if engine.is_marked_full():
        # A request that did not fit marks the running batch as full. Up to 0.5.22 only a batch that runs
        # takes the mark off again; on an empty one it would keep out all requests of the next script.
        context.full_marks_cleared += 1
        engine.clear_full_mark()
    engine.restore_carryover()
