"""Priorities for the requests of any workload: the argument `priorities` of every builder and reader."""

from __future__ import annotations

from dataclasses import replace
from inspect import Parameter

from exhausters.workloads.request import require_int
from exhausters.workloads.workload import Workload

ARGUMENT = "priorities"
#: How the argument looks beside a builder's own.
PARAMETER = Parameter(ARGUMENT, Parameter.KEYWORD_ONLY, default=None, annotation=int | None)


def with_priorities(workload: Workload, count: int) -> Workload:
    """Return the workload with priority `i mod count` for its i-th request, in the order of arrival.

    The warm-up keeps its own: it ends before anything is measured.

    Args:
        workload: any workload; priorities that its requests have are replaced.
        count: how many priorities there are, >= 1.

    Raises:
        WorkloadError: a count that is not an integer >= 1.
    """
    require_int(ARGUMENT, count, minimum=1)
    requests = tuple(
        replace(request, priority=index % count) for index, request in enumerate(workload.requests)
    )
    return replace(workload, requests=requests)
