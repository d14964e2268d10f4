"""Running requests that are put back for one of higher priority, seen where SGLang decides it.

`PrefillAdder.preempt_to_schedule` releases them while a prefill batch is formed and keeps them in
`preempt_list`; a new adder is made for each batch, so the class is wrapped.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from exhausters.engine.api import EngineListener
from exhausters.engine.sglang.holdings import Holders
from exhausters.engine.wrap import wrap_calls
from exhausters.errors import SeamError

_MODULE = "sglang.srt.managers.schedule_policy"
_CLASS = "PrefillAdder"
_METHOD = "preempt_to_schedule"


def is_on(scheduler: Any) -> bool:
    """Whether SGLang may preempt: priorities are in use, and preemption is not turned off.

    Releases without a switch of its own preempt wherever priorities are in use.
    """
    in_use = bool(getattr(scheduler, "enable_priority_scheduling", False))
    return in_use and bool(getattr(scheduler, "enable_priority_preemption", True))


def watch(scheduler: Any, holders: Holders, listener: EngineListener) -> Callable[[], None]:
    """Tell `listener` of each preemption; returns what ends that.

    Raises:
        SeamError: this SGLang decides it elsewhere.
    """
    adder_class = getattr(sys.modules.get(_MODULE), _CLASS, None)
    if adder_class is None:
        raise SeamError(f"{_MODULE} has no {_CLASS}: preemptions cannot be seen")
    own_tokens: dict[str, int] = {}
    known = 0

    def note_holdings(adder: Any) -> None:
        # Before the call: afterwards those that were preempted hold nothing any more.
        nonlocal own_tokens, known
        known = len(adder.preempt_list)
        own_tokens = {req.rid: holders.own_tokens(req) for req in adder.running_batch.reqs}

    def note_preempted(_result: Any, adder: Any) -> None:
        # In the order of the batch: SGLang keeps the newest ones in the order of a set.
        newest = {req.rid for req in adder.preempt_list[known:]}
        if newest:
            listener.on_preemption(own_tokens={rid: own for rid, own in own_tokens.items() if rid in newest})

    return wrap_calls(adder_class, _METHOD, note_preempted, note_holdings)
