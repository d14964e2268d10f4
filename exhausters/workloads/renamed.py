"""Other request ids for any workload: the argument `renamed` of every builder and reader."""

from __future__ import annotations

from dataclasses import replace
from inspect import Parameter

from exhausters.workloads.request import Request
from exhausters.workloads.workload import Workload

ARGUMENT = "renamed"
#: How the argument looks beside a builder's own.
PARAMETER = Parameter(ARGUMENT, Parameter.KEYWORD_ONLY, default=False, annotation=bool)


def with_other_names(workload: Workload, wanted: bool = True) -> Workload:
    """Return the workload with other request ids, whose alphabetical order is the reverse of their arrival.

    A scheduler's decisions must not depend on them. Without `wanted` the workload as it is.
    """
    if not wanted:
        return workload
    every = (*workload.warmup_requests, *workload.requests)
    names = {one.rid: f"renamed-{len(every) - place:06d}" for place, one in enumerate(every)}

    def renamed(one: Request) -> Request:
        return replace(one, rid=names[one.rid], after=None if one.after is None else names[one.after])

    return replace(
        workload,
        requests=tuple(map(renamed, workload.requests)),
        warmup_requests=tuple(map(renamed, workload.warmup_requests)),
    )
