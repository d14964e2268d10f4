"""A workload in numbers: what it asks for, and what an infinite cache would serve of it."""

from __future__ import annotations

from dataclasses import dataclass

from exhausters.workloads.hits import BlockHits, block_hits, token_hits
from exhausters.workloads.workload import Workload

__all__ = ["WorkloadSummary", "summarise"]


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkloadSummary:
    """Totals of a workload, and the ceiling of its cache hits.

    Attributes:
        request_count, warmup_request_count: requests in each list.
        prompt_tokens, output_tokens: totals over `requests`; the warm-up is not counted.
        longest_request_tokens: largest prompt + output; a pool must hold it.
        page_size: granularity of the sharing, in tokens.
        shared_tokens: prompt tokens that an infinite cache, filled by the warm-up and by each
            request in order, would serve: the ceiling for cache-hit tokens.
        block_hits: the same in blocks, one per segment; meant for block traces.
    """

    request_count: int
    warmup_request_count: int
    prompt_tokens: int
    output_tokens: int
    longest_request_tokens: int
    page_size: int
    shared_tokens: int
    block_hits: BlockHits

    @property
    def shared_fraction(self) -> float:
        """`shared_tokens` / `prompt_tokens`, in [0, 1]."""
        return self.shared_tokens / self.prompt_tokens


def summarise(workload: Workload, *, page_size: int = 1) -> WorkloadSummary:
    """Return the totals of `workload`, and the ceiling of its cache hits at a page size in tokens (>= 1).

    Raises:
        WorkloadError: a page size that is not a positive integer.
    """
    hits = token_hits(workload, page_size=page_size)
    return WorkloadSummary(
        request_count=len(workload.requests),
        warmup_request_count=len(workload.warmup_requests),
        prompt_tokens=hits.prompt_tokens,
        output_tokens=sum(request.max_new_tokens for request in workload.requests),
        longest_request_tokens=max(r.prompt_tokens + r.max_new_tokens for r in workload.requests),
        page_size=page_size,
        shared_tokens=hits.hit_tokens,
        block_hits=block_hits(
            [request.prompt for request in workload.requests],
            warmup=[request.prompt for request in workload.warmup_requests],
        ),
    )
