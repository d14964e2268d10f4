"""LoRA adapters for the requests of any workload: the argument `adapters` of every builder and reader."""

from __future__ import annotations

from dataclasses import replace
from inspect import Parameter

from exhausters.workloads.request import Request, require_int
from exhausters.workloads.workload import Workload

ARGUMENT = "adapters"
#: How the argument looks beside a builder's own.
PARAMETER = Parameter(ARGUMENT, Parameter.KEYWORD_ONLY, default=None, annotation=int | None)


def with_adapters(workload: Workload, count: int) -> Workload:
    """Return the workload whose i-th request names adapter `i mod count`, in the order of arrival.

    One that follows another names the same adapter as that, and is not counted: a conversation has one. The
    warm-up is for the base model. What one adapter has computed no other can use.

    Args:
        workload: any workload; adapters that its requests name are replaced.
        count: how many adapters there are, >= 1.

    Raises:
        WorkloadError: a count that is not an integer >= 1.
    """
    require_int(ARGUMENT, count, minimum=1)
    named: dict[str, str] = {}
    first = 0
    requests: list[Request] = []
    for request in workload.requests:
        if request.after is None:
            adapter, first = f"adapter-{first % count}", first + 1
        else:
            adapter = named[request.after]
        named[request.rid] = adapter
        requests.append(replace(request, adapter=adapter))
    return replace(workload, requests=tuple(requests))
