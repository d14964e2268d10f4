"""How much an infinite cache could serve: the ceiling every real hit rate is read against.

Two counts of the same thing:

* `block_hits` counts blocks, as the traces do. A block is hit if it and all blocks before it in
  its prompt were seen, in this order, in earlier prompts. Two fractions differ: over all blocks,
  the last and mostly partial one of each prompt included (36.6 % and 64.0 % in Mooncake's
  conversation and synthetic traces), and over full blocks only (38.2 % and 65.9 %), which is what a
  radix cache whose page is one block can reach.
* `token_hits` counts tokens at any page size, with the two limits SGLang's radix cache has: the
  last prompt token is always computed, and the last output token is never cached.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from exhausters.workloads.request import Request, Segment, require_int
from exhausters.workloads.workload import Workload


@dataclass(frozen=True, kw_only=True, slots=True)
class BlockHits:
    """Block hits of an infinite cache that is empty at the start.

    Attributes:
        blocks, hit_blocks: all blocks, partial last ones included.
        full_blocks, hit_full_blocks: those of full length only.
    """

    blocks: int
    hit_blocks: int
    full_blocks: int
    hit_full_blocks: int

    @property
    def fraction(self) -> float:
        """`hit_blocks` / `blocks`, in [0, 1]; 0 when there are none."""
        return self.hit_blocks / self.blocks if self.blocks else 0.0

    @property
    def full_fraction(self) -> float:
        """`hit_full_blocks` / `full_blocks`, in [0, 1]; 0 when there are none."""
        return self.hit_full_blocks / self.full_blocks if self.full_blocks else 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenHits:
    """Prompt tokens of a workload's requests, and those an infinite cache would serve."""

    prompt_tokens: int
    hit_tokens: int


def block_hits(
    prompts: Iterable[Sequence[Segment]], *, warmup: Iterable[Sequence[Segment]] = ()
) -> BlockHits:
    """Count block hits over prompts in order of arrival; each segment is one block.

    Args:
        prompts: for a workload, `[r.prompt for r in workload.requests]`. The longest segment of
            all is taken for a full block.
        warmup: prompts that were seen before; their blocks are not counted.
    """
    seen = [tuple((part.seed, part.length) for part in prompt) for prompt in warmup]
    listed = [tuple((part.seed, part.length) for part in prompt) for prompt in prompts]
    block_tokens = max((length for prompt in listed for _, length in prompt), default=0)
    # A prefix of blocks is one number: the id of (id of the prefix before, block).
    prefix_ids: dict[tuple[int, int | None, int], int] = {}
    blocks = hit_blocks = full_blocks = hit_full_blocks = 0
    for place, prompt in enumerate(seen + listed):
        prefix, hit = 0, True
        for seed, length in prompt:
            key = (prefix, seed, length)
            hit = hit and key in prefix_ids
            prefix = prefix_ids.setdefault(key, len(prefix_ids) + 1)
            if place < len(seen):
                continue
            blocks += 1
            hit_blocks += hit
            if length == block_tokens:
                full_blocks += 1
                hit_full_blocks += hit
    return BlockHits(
        blocks=blocks, hit_blocks=hit_blocks, full_blocks=full_blocks, hit_full_blocks=hit_full_blocks
    )


def token_hits(workload: Workload, *, page_size: int = 1) -> TokenHits:
    """Prompt tokens that an infinite radix cache would serve, at a page size in tokens (>= 1).

    The warm-up and each request, with its output but for the last token, are in the cache before
    the next request of the list is looked up. What one adapter has computed no other can use. Real runs hit
    less: requests overlap and pages are evicted.

    Raises:
        WorkloadError: a page size that is not a positive integer.
    """
    require_int("page_size", page_size, minimum=1)
    roots: dict[str | None, _Node] = defaultdict(_Node)
    for request in workload.warmup_requests:
        _insert(roots[request.adapter], _cached_parts(request))
    prompt_tokens = hit_tokens = 0
    for request in workload.requests:
        root, length = roots[request.adapter], request.prompt_tokens
        matched = min(_match(root, _merged(request.prompt)), length - 1)
        prompt_tokens += length
        hit_tokens += matched - matched % page_size
        _insert(root, _cached_parts(request))
    return TokenHits(prompt_tokens=prompt_tokens, hit_tokens=hit_tokens)


@dataclass(kw_only=True, slots=True)
class _Node:
    """A boundary between segments, and the segments seen after it."""

    longest: dict[int | None, int] = field(default_factory=dict)
    children: dict[tuple[int | None, int], _Node] = field(default_factory=dict)


_Parts = list[tuple[int | None, int]]


def _merged(prompt: Sequence[Segment]) -> _Parts:
    """(seed, length) per segment; neighbouring emitted segments become one, as their tokens do."""
    parts: _Parts = []
    for part in prompt:
        if part.seed is None and parts and parts[-1][0] is None:
            parts[-1] = (None, parts[-1][1] + part.length)
        else:
            parts.append((part.seed, part.length))
    return parts


def _cached_parts(request: Request) -> _Parts:
    if request.output_tokens == 1:
        return _merged(request.prompt)
    return _merged((*request.prompt, Segment(seed=None, length=request.max_new_tokens - 1)))


def _match(root: _Node, parts: _Parts) -> int:
    """Tokens of the longest prefix of `parts` in the tree.

    Comparing segments instead of tokens is sound since a first token differs from every body
    token (see tokens.py): where one prompt's segment ends and the other's continues, they diverge.
    """
    node: _Node | None = root
    matched = 0
    for seed, length in parts:
        if node is None:
            break
        matched += min(length, node.longest.get(seed, 0))
        node = node.children.get((seed, length))
    return matched


def _insert(root: _Node, parts: _Parts) -> None:
    node = root
    for seed, length in parts:
        node.longest[seed] = max(length, node.longest.get(seed, 0))
        node = node.children.setdefault((seed, length), _Node())
