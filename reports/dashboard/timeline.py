"""What the scheduler did over the steps of one cell, small enough to draw."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from exhausters.observe.step_record import StepRecord

# Points of one timeline at most: a screen cannot show more.
MAX_POINTS: Final = 300

Ints = NDArray[np.int64]

# Name of each column, what it reads from a step, and what stands for several steps: peaks and troughs
# stay, events add up.
_COLUMNS: Final[tuple[tuple[str, Callable[[StepRecord], int], np.ufunc], ...]] = (
    ("batch", lambda step: len(step.rids), np.maximum),
    ("tokens", lambda step: sum(step.tokens), np.maximum),
    ("waiting", lambda step: step.waiting, np.maximum),
    ("free", lambda step: step.free_tokens, np.minimum),
    ("evictable", lambda step: step.evictable_tokens, np.maximum),
    ("protected", lambda step: step.protected_tokens, np.maximum),
    ("held", lambda step: step.held_tokens, np.maximum),
    ("retractions", lambda step: len(step.retracted_rids), np.add),
    ("evicted", lambda step: step.evict_given_tokens, np.add),
)


def timeline(steps: Sequence[StepRecord]) -> dict[str, Any]:
    """Return the steps as columns of at most `MAX_POINTS` points.

    {"steps": number of steps, "window": steps a point stands for, "first": [first step of each point],
     "batch", "tokens", "waiting", "evictable", "protected", "held": [largest in the window]
     "free": [smallest in the window], "retractions", "evicted": [sum over the window]}
    """
    window = max(1, -(-len(steps) // MAX_POINTS))
    starts = np.arange(0, len(steps), window)
    document: dict[str, Any] = {"steps": len(steps), "window": window, "first": starts.tolist()}
    for name, read, combine in _COLUMNS:
        values: Ints = np.fromiter(map(read, steps), dtype=np.int64, count=len(steps))
        document[name] = combine.reduceat(values, starts).tolist() if len(steps) else []
    return document
