"""Penalties for the requests of any workload: the argument `frequency_penalty` of every builder and reader.

A penalty is work of each decode step that nothing else reaches: counts of emitted tokens are kept, put into
the batch's sampling state, and taken along when batches are filtered and merged.

SGLang counts the last token of a prompt where no output is known yet, for every request of a batch that has
a penalty in it (0.5.23: `ScheduleBatch.cumulate_penalty_output_tokens`). It must be of the model's
vocabulary, which tokens of prompts are not: so every prompt ends with the token that the model would emit
behind it.
"""

from __future__ import annotations

from dataclasses import replace
from inspect import Parameter

from exhausters.workloads.request import Segment
from exhausters.workloads.workload import Workload

ARGUMENT = "frequency_penalty"
#: How the argument looks beside a builder's own.
PARAMETER = Parameter(ARGUMENT, Parameter.KEYWORD_ONLY, default=0.0, annotation=float)

_LAST = Segment(seed=None, length=1)


def with_penalty(workload: Workload, penalty: float) -> Workload:
    """Return the workload with this frequency penalty for every second request: batches have both kinds.

    All prompts are a token longer.

    Args:
        workload: any workload.
        penalty: that of SGLang's sampling parameters. What is emitted stays the same: see `Request`.

    Raises:
        WorkloadError: a penalty that SGLang would refuse, or that would change a text.
    """
    requests = tuple(
        replace(
            request,
            frequency_penalty=penalty if index % 2 else request.frequency_penalty,
            prompt=(*request.prompt, _LAST),
        )
        for index, request in enumerate(workload.requests)
    )
    return replace(workload, requests=requests)
