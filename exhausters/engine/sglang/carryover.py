"""What a flush does not reset: counters that run on from script to script.

Most are harmless, some are not. From 0.5.22 on, for one, the policy refreshes the LRU order of waiting
prefixes at every n-th call, counted since boot, so a script's evictions depend on how many calls the
scripts before it made.
"""

from __future__ import annotations

import gc
import random
import sys
from typing import Any

# Objects whose integers are bookkeeping and nothing else.
_COUNTING_PARTS = ("policy", "metrics_reporter")
# Counters on the scheduler itself: tokens that the HRRN policy ages requests by, forwards in all.
_SCHEDULER_COUNTERS = ("processed_tokens_counter", "forward_ct")
_SEED = 0


class Carryover:
    """Remembers the counters of an idle engine and puts them back; numbers only, never objects."""

    def __init__(self, scheduler: Any) -> None:
        self._scheduler = scheduler
        # What a boot leaves alive is most of the heap: without freezing it, each collection below would
        # walk all of it again.
        gc.collect()
        gc.freeze()
        self._remembered: list[tuple[Any, str, int]] = []
        for part in _COUNTING_PARTS:
            owner = getattr(scheduler, part, None)
            for name, value in vars(owner).items() if hasattr(owner, "__dict__") else ():
                if type(value) is int:
                    self._remembered.append((owner, name, value))
        for name in _SCHEDULER_COUNTERS:
            value = getattr(scheduler, name, None)
            if type(value) is int:
                self._remembered.append((scheduler, name, value))

    def restore(self) -> None:
        """Put all counters back, seed the random numbers that policies draw, and collect garbage.

        Collected here, so that no finaliser of one script runs, and is counted, in the next.
        """
        for owner, name, value in self._remembered:
            setattr(owner, name, value)
        # Sessions are looked through once a second, counted from the last time in whatever script that was;
        # so that the number of looks depends on this script alone, the first comes at once.
        sessions: Any = getattr(self._scheduler, "session_controller", None)
        if hasattr(sessions, "_last_reap_time"):
            sessions._last_reap_time = 0.0
        random.seed(_SEED)
        torch = sys.modules.get("torch")
        if torch is not None:
            torch.manual_seed(_SEED)
        gc.collect()
