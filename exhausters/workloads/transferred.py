"""Transfers between the engines of a disaggregated pair, for any workload.

The arguments `transfer_steps`, `handshake_steps`, `stall_every` and `fail_every` of every builder and reader
mean something to an engine of such a pair only; another one refuses a workload that has them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from inspect import Parameter
from types import MappingProxyType

from exhausters.workloads.transfer import ARRIVES, FAILS, STALLS, Transfer, require_count
from exhausters.workloads.workload import Workload

_STEPS, _HANDSHAKE, _STALL, _FAIL = "transfer_steps", "handshake_steps", "stall_every", "fail_every"


def _parameter(name: str, default: int) -> Parameter:
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=int)


#: How the arguments look beside a builder's own.
PARAMETERS: Mapping[str, Parameter] = MappingProxyType(
    {
        _STEPS: _parameter(_STEPS, 1),
        _HANDSHAKE: _parameter(_HANDSHAKE, 0),
        _STALL: _parameter(_STALL, 0),
        _FAIL: _parameter(_FAIL, 0),
    }
)


def with_transfers(
    workload: Workload,
    *,
    transfer_steps: int = 1,
    handshake_steps: int = 0,
    stall_every: int = 0,
    fail_every: int = 0,
) -> Workload:
    """Return the workload with a transfer for each of its requests; those of the warm-up arrive in a step.

    Args:
        workload: any workload.
        transfer_steps, handshake_steps: as `Transfer` has them, the same for all.
        stall_every: the transfer of every n-th request stalls; 0 for none.
        fail_every: that of every n-th of the others fails; 0 for none.

    Raises:
        WorkloadError: a number that is no integer >= 0.
    """
    for name, value in ((_STALL, stall_every), (_FAIL, fail_every)):
        require_count(name, value)
    requests = []
    others = 0
    for number, request in enumerate(workload.requests, start=1):
        fate = STALLS if stall_every and number % stall_every == 0 else ARRIVES
        others += fate == ARRIVES
        if fate == ARRIVES and fail_every and others % fail_every == 0:
            fate = FAILS
        transfer = Transfer(steps=transfer_steps, handshake_steps=handshake_steps, fate=fate)
        requests.append(replace(request, transfer=transfer))
    return replace(workload, requests=tuple(requests))
