"""Grammars for the requests of any workload: the argument `grammar_steps` of every builder and reader."""

from __future__ import annotations

from dataclasses import replace
from inspect import Parameter

from exhausters.workloads.workload import Workload

ARGUMENT = "grammar_steps"
#: How the argument looks beside a builder's own.
PARAMETER = Parameter(ARGUMENT, Parameter.KEYWORD_ONLY, default=None, annotation=int | None)


def with_grammars(workload: Workload, steps: int) -> Workload:
    """Return the workload with a grammar for every second request: batches have both kinds.

    Each has a grammar of its own, so that none is found in the cache of compiled ones.

    Args:
        workload: any workload.
        steps: steps after its arrival in which a grammar is compiled, see `Request.grammar_steps`.

    Raises:
        WorkloadError: steps that `Request` refuses.
    """
    requests = tuple(
        replace(request, grammar_steps=steps if index % 2 else request.grammar_steps)
        for index, request in enumerate(workload.requests)
    )
    return replace(workload, requests=requests)
