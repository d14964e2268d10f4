"""What the scheduler reckons with when it admits requests, never less than it does, and what may stop it.

SGLang admits a request whose uncached prompt, clipped outputs and a page are fewer than the free and
evictable tokens, less what running requests are expected to take: a share of their outputs, which is
estimated; for those admitted in the same step it reckons all that they asked for, also where a retracted
request has emitted most of it already, and what did not fit then is not looked at again until a request
leaves. So here the prompt counts in full, outputs are not clipped, and each running request has all the
outputs that it asked for and a page; of the window's pool each takes a whole window and a page at least, as
older schedulers reckon for all that are admitted together. What fits by this reckoning fits by SGLang's own.
One that ignores the end of text is reckoned by other rules where there is no radix cache
(`add_one_req_ignore_eos`): what a pool has left by one token may be refused.
"""

from __future__ import annotations

import os
from typing import Any

from exhausters.engine.api import Demand
from exhausters.engine.sglang.transfer_queues import role_of

# Parts of the scheduler that postpone prefills on purpose, where a release has them and they are on.
_DELAYERS = ("prefill_delayer", "min_free_slots_delayer", "dllm_config", "lora_drainer")
# Switches with which a request waits for something else than rows and pages.
_SWITCHES = ("enable_priority_preemption", "enable_lora", "enable_hicache_storage", "enable_hisparse")
# Of the server's arguments: those by which less is admitted than rows and pages allow.
_ARGUMENTS = ("prefill_max_requests", "pp_max_micro_batch_size", "prefill_decode_interval")
_TEST_RETRACT = "SGLANG_TEST_RETRACT"


def demand(scheduler: Any) -> Demand:
    """Return what the waiting and the running requests may still take."""
    page, running = int(scheduler.page_size), scheduler.running_batch
    reqs = () if running is None else running.reqs
    most = max(scheduler.waiting_queue, key=lambda req: _tokens_to_come(req, page), default=None)
    waiting = 0 if most is None else _tokens_to_come(most, page) + page
    window = int(getattr(scheduler.tree_cache, "sliding_window_size", None) or 0)
    return Demand(
        waiting_rid="" if most is None else str(most.rid),
        waiting_tokens=waiting,
        waiting_window_tokens=max(waiting, window + page) if window and most is not None else 0,
        reserved_window_tokens=sum(max(_max_new_tokens(req), window) + page for req in reqs) if window else 0,
        reserved_tokens=sum(_max_new_tokens(req) + page for req in reqs),
        running=len(reqs),
        running_limit=int(scheduler.max_running_requests),
    )


def least_demand_tokens(scheduler: Any) -> int:
    """Return tokens that `demand` never undercuts, without a look at the whole queue."""
    if not scheduler.waiting_queue:
        return 0
    page, running = int(scheduler.page_size), scheduler.running_batch
    asked = () if running is None else [req.sampling_params.max_new_tokens for req in running.reqs]
    # None stands for as many as there is room for, and is no part of a bound from below.
    reserved = sum([tokens for tokens in asked if tokens is not None])
    return int(reserved) + _tokens_to_come(scheduler.waiting_queue[0], page)


def _tokens_to_come(req: Any, page: int) -> int:
    # What a prefill computes takes whole pages.
    emitted = len(req.output_ids)
    prefilled = -(-(len(req.origin_input_ids) + emitted) // page) * page
    return prefilled + max(0, _max_new_tokens(req) - emitted)


def _max_new_tokens(req: Any) -> int:
    # None stands for as many as there is room for.
    asked = req.sampling_params.max_new_tokens
    return 1 << 30 if asked is None else int(asked)


def why_held_back(scheduler: Any) -> str:
    """Return which switches may hold requests back although there is room; empty for none."""
    arguments = scheduler.server_args
    named = [name for name in _DELAYERS if getattr(scheduler, name, None) is not None]
    named += [name for name in _SWITCHES if getattr(scheduler, name, False)]
    for name in _ARGUMENTS:
        value = getattr(arguments, name, None)
        # The pipeline's own limit is the number of rows where nobody asks for less.
        if value and value != scheduler.max_running_requests:
            named.append(name)
    if role_of(scheduler):
        named.append("disaggregation_mode")
    if retracts_on_purpose():
        named.append(_TEST_RETRACT)
    return ", ".join(named)


def retracts_on_purpose() -> bool:
    """Whether SGLang retracts a running request every few steps, whatever is free."""
    return os.environ.get(_TEST_RETRACT, "0").lower() not in ("", "0", "false")


_FIRST_COME = "fcfs"
# Switches with which a request that waits for something of its own is left out while later ones are taken.
_LEAVE_OUT = (
    "enable_lora",
    "enable_hierarchical_cache",
    "enable_hicache_storage",
    "enable_hisparse",
    "dllm_config",
)


def why_unordered(scheduler: Any) -> str:
    """Return the policy, or the switches, by which a later request may come first; empty for none.

    The policy is that which the scheduler settled on: without a radix cache it replaces those that need one.
    """
    policy = getattr(scheduler.policy, "policy", None)
    name = str(getattr(policy, "value", policy))
    if name != _FIRST_COME:
        return f"the policy {name} promises no bound for one request"
    if role_of(scheduler):
        return "requests wait for their transfers first"
    return ", ".join(one for one in _LEAVE_OUT if getattr(scheduler, one, None))


def waiting_priorities(scheduler: Any) -> dict[str, int | None]:
    """Return the priorities of the waiting queue; None for each where priorities are not in use."""
    if not scheduler.enable_priority_scheduling:
        return dict.fromkeys((str(req.rid) for req in scheduler.waiting_queue), None)
    return {str(req.rid): int(req.priority or 0) for req in scheduler.waiting_queue}
