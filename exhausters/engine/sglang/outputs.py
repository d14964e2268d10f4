"""What requests have emitted when they end, seen where the scheduler looks at the result of a batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from exhausters.engine.api import PROCESS_RESULT, OutputListener
from exhausters.engine.sglang.observation import phase_points
from exhausters.engine.wrap import wrap_calls

_ABORT = "abort"


def watch_outputs(scheduler: Any, listener: OutputListener) -> Callable[[], None]:
    """Tell `listener` of each request that ends in a batch; see `Engine.watch_outputs`."""
    # With overlap a request that has ended is in one more batch.
    told: set[str] = set()

    def tell(_result: Any, batch: Any) -> None:
        for req in batch.reqs:
            if req.finished() and req.rid not in told:
                told.add(req.rid)
                listener.on_finished(
                    rid=str(req.rid),
                    outputs=tuple(req.output_ids),
                    prompt_tokens=len(req.origin_input_ids),
                    was_aborted=req.finished_reason.to_json().get("type") == _ABORT,
                )

    point = next(one for one in phase_points(scheduler) if one.phase == PROCESS_RESULT)
    return wrap_calls(point.owner, point.name, tell)
