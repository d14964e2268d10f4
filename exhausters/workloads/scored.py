"""Log-probabilities of prompts for requests of any workload: the argument `logprobs_from` of every one."""

from __future__ import annotations

from dataclasses import replace
from inspect import Parameter

from exhausters.workloads.request import require_int
from exhausters.workloads.workload import Workload

ARGUMENT = "logprobs_from"
#: How the argument looks beside a builder's own.
PARAMETER = Parameter(ARGUMENT, Parameter.KEYWORD_ONLY, default=None, annotation=int | None)


def with_logprobs(workload: Workload, position: int) -> Workload:
    """Return the workload where every second request asks for log-probabilities: batches have both kinds.

    Args:
        workload: any workload.
        position: position in the prompt from which on they are asked for; no prefix behind it is taken from
            the cache. In a shorter prompt its last token.

    Raises:
        WorkloadError: a position that is not an integer >= 0.
    """
    require_int(ARGUMENT, position, minimum=0)
    requests = tuple(
        replace(request, logprobs_from=min(position, request.prompt_tokens - 1)) if index % 2 else request
        for index, request in enumerate(workload.requests)
    )
    return replace(workload, requests=requests)
