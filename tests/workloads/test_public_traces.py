"""The readers against the public traces; skipped where these are not at hand."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from exhausters.workloads import FixedToken, block_hits, read_azure, read_mooncake, token_hits
from tests.workloads.reference_radix import ReferenceRadix

PublicTrace = Callable[[str], Path]

MOONCAKE = [("mooncake_conversation.jsonl", 12_031, 0.366), ("mooncake_synthetic.jsonl", 3_993, 0.640)]


@pytest.mark.parametrize(("name", "requests", "fraction"), MOONCAKE)
@pytest.mark.parametrize("scale", [Fraction(1), Fraction(1, 32)])
def test_block_hits_are_known(
    public_trace: PublicTrace, name: str, requests: int, fraction: float, scale: Fraction
) -> None:
    """A known trace has its known share of block hits, and scaling does not change it."""
    workload = read_mooncake(public_trace(name), scale=scale)
    assert len(workload.requests) == requests
    hits = block_hits(request.prompt for request in workload.requests)
    assert hits.fraction == pytest.approx(fraction, abs=0.0005)


@pytest.mark.parametrize(("name", "scale"), [(row[0], Fraction(1, n)) for row in MOONCAKE for n in (16, 32)])
def test_radix_hits_equal_block_hits(public_trace: PublicTrace, name: str, scale: Fraction) -> None:
    """A radix cache over the expanded tokens hits the trace's full blocks, no more and no fewer."""
    workload = read_mooncake(public_trace(name), scale=scale, max_requests=600)
    page_size = int(512 * scale)
    radix = ReferenceRadix(page_size)
    hit_pages = 0
    for request in workload.requests:
        tokens = request.tokens(FixedToken(0)).tobytes()
        hit_pages += radix.match(tokens) // page_size
        radix.insert(tokens)
    hits = block_hits(request.prompt for request in workload.requests)
    assert hits.hit_full_blocks == hit_pages > 0


def test_scaling_keeps_lengths_and_sharing_in_proportion(public_trace: PublicTrace) -> None:
    """At 1/32 the trace has 1/32 of its tokens and of its shared tokens, within the rounding of ends."""
    path = public_trace("mooncake_conversation.jsonl")
    whole, small = (read_mooncake(path, scale=s, max_requests=1000) for s in (1, Fraction(1, 32)))
    # The last token is always computed: at page size 1 that is one token per repeated prompt.
    ratios = [
        32 * token_hits(small).hit_tokens / token_hits(whole).hit_tokens,
        32 * token_hits(small).prompt_tokens / token_hits(whole).prompt_tokens,
    ]
    assert ratios == pytest.approx([1, 1], abs=0.005)


@pytest.mark.parametrize(
    ("name", "requests", "prompt_tokens"),
    [("azure_llm_2023_code.csv", 8_819, 4_808), ("azure_llm_2023_conv.csv", 19_366, 374)],
)
def test_azure_traces_are_read_whole(
    public_trace: PublicTrace, name: str, requests: int, prompt_tokens: int
) -> None:
    """Every line of the Azure traces is understood, in order, without skipping."""
    workload = read_azure(public_trace(name))
    assert len(workload.requests) == requests
    assert workload.requests[0].prompt_tokens == prompt_tokens
    assert workload.source["skipped_lines"] == 0
    assert 3400 < workload.requests[-1].arrival_seconds < 3600
