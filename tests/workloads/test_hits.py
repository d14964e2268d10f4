from __future__ import annotations

from array import array

from hypothesis import given
from hypothesis import strategies as st

from exhausters.workloads import (
    BUILDERS,
    FixedToken,
    Request,
    Segment,
    Workload,
    block_hits,
    build,
    token_hits,
)
from tests.workloads.reference_radix import ReferenceRadix

# Outside every range of tokens.py: a body token that equals what the model emits by chance would
# be a shared token that no segment accounts for.
EMITTED = FixedToken(1 << 40)


def cached(request: Request) -> bytes:
    return (
        request.tokens(EMITTED).tobytes()
        + Segment(seed=None, length=request.output_tokens).tokens(EMITTED)[:-1].tobytes()
    )


def reference_hits(workload: Workload, page_size: int) -> int:
    radix = ReferenceRadix(page_size)
    for request in workload.warmup_requests:
        radix.insert(cached(request))
    hits = 0
    for request in workload.requests:
        hits += radix.match(request.tokens(EMITTED)[:-1].tobytes())
        radix.insert(cached(request))
    return hits


segments = st.builds(Segment, seed=st.one_of(st.none(), st.integers(0, 2)), length=st.integers(1, 6))
prompts = st.lists(st.lists(segments, min_size=1, max_size=4).map(tuple), min_size=1, max_size=8)


@given(prompts=prompts, outputs=st.integers(1, 4), warm=st.integers(0, 3), page_size=st.integers(1, 4))
def test_token_hits_equal_a_radix_cache(
    prompts: list[tuple[Segment, ...]], outputs: int, warm: int, page_size: int
) -> None:
    """The ceiling computed from segments is what a radix cache finds in the expanded tokens."""
    requests = [
        Request(rid=str(index), arrival_seconds=0.0, prompt=prompt, max_new_tokens=outputs)
        for index, prompt in enumerate(prompts)
    ]
    warm = min(warm, len(requests) - 1)
    one = Workload(name="w", requests=tuple(requests[warm:]), warmup_requests=tuple(requests[:warm]))
    assert token_hits(one, page_size=page_size).hit_tokens == reference_hits(one, page_size)


def test_token_hits_of_builders_equal_a_radix_cache() -> None:
    """The same holds for the workloads people run, agents' emitted turns included."""
    for name in BUILDERS:
        one = build(name, seed=4)
        assert token_hits(one, page_size=16).hit_tokens == reference_hits(one, 16), name


def test_reference_radix_by_hand() -> None:
    """The double that judges the fast count is right itself: whole pages, prefixes only."""
    radix = ReferenceRadix(page_size=2)
    one, two, three = (
        array("q", tokens).tobytes() for tokens in ([1, 2, 3, 4, 5], [1, 2, 3, 9], [2, 3, 4, 5])
    )
    assert radix.match(one) == 0
    radix.insert(one)
    assert [radix.match(tokens) for tokens in (one, two, three)] == [4, 2, 0]


def test_block_hits_by_hand() -> None:
    """A block is hit only behind hits: equal content at another place is not a prefix."""
    a, b, c, part = (Segment(seed=s, length=n) for s, n in ((1, 4), (2, 4), (3, 4), (4, 2)))
    hits = block_hits([(a, b, part), (a, b, part), (a, c, b), (b, a)])
    assert (hits.blocks, hits.hit_blocks) == (11, 4)
    assert (hits.full_blocks, hits.hit_full_blocks) == (9, 3)
    assert hits.fraction == 4 / 11
    assert hits.full_fraction == 3 / 9


def test_blocks_of_the_warmup_are_seen_and_not_counted() -> None:
    """A warm-up turns blocks behind it into hits and adds none of its own."""
    a, b = (Segment(seed=seed, length=4) for seed in (1, 2))
    hits = block_hits([(a, b)], warmup=[(a,), (b,)])
    assert (hits.blocks, hits.hit_blocks) == (2, 1)


def test_block_hits_of_nothing() -> None:
    """No prompts give no hits, not a division by zero."""
    assert block_hits([]).fraction == block_hits([]).full_fraction == 0.0
