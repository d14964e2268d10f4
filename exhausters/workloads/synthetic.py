"""Seeded workloads, each built to stress the scheduler in one way.

Defaults fit a KV pool of 4,096 to 8,192 tokens on a CPU: 48 to 96 requests whose tokens together
exceed the pool, a few hundred steps. All lengths are tokens, all times modelled seconds; lengths
named `*_tokens` are means, except those of shared prefixes, which are exact. Every builder takes

* `seed` (>= 0): other content, lengths and times of the same kind;
* `warmup_leaves` (>= 0): prompts of 32 tokens that fill the radix tree and that are never repeated.

Requests do not ask to ignore the end of text, as ordinary clients do not: for those that do SGLang
(from 0.5.22 on) reserves the whole output on admission and has nothing left to retract. Their outputs are
of full length all the same, since the null model never emits an end of text.

Each raises `WorkloadError` for an argument that is not a number or too small. The same arguments
give the same digest on every machine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from exhausters.workloads.disturbed import disturbed, nearly_full, scoring
from exhausters.workloads.draw import Draw, microseconds, require_positive, warmup_request
from exhausters.workloads.request import Request, Segment, require_seconds
from exhausters.workloads.workload import Workload

Builder = Callable[..., Workload]


def shared_prefix(
    *,
    seed: int = 0,
    requests: int = 64,
    prefixes: int = 4,
    prefix_tokens: int = 256,
    unique_tokens: int = 96,
    output_tokens: int = 24,
    mean_gap_seconds: float = 0.01,
    warmup_leaves: int = 16,
) -> Workload:
    """A few system prompts, each shared by many requests: what a radix cache is for.

    The warm-up computes each prefix once and adds leaves that no request repeats, so that eviction
    has both right and wrong victims.
    """
    draw = Draw("shared_prefix", seed)
    require_positive(requests=requests, prefixes=prefixes, prefix_tokens=prefix_tokens)
    heads = [draw.segment("prefix", index, prefix_tokens) for index in range(prefixes)]
    warmup = [warmup_request(f"warm-prefix-{index}", head) for index, head in enumerate(heads)]
    listed, clock = [], 0.0
    for index in range(requests):
        tail = draw.segment("tail", index, draw.around("unique_tokens", unique_tokens))
        listed.append(
            Request(
                rid=f"shared-{index}",
                arrival_seconds=clock,
                prompt=(heads[draw.below(prefixes)], tail),
                max_new_tokens=draw.around("output_tokens", output_tokens),
            )
        )
        clock = draw.later(clock, mean_gap_seconds)
    return draw.workload("few system prompts, each shared by many requests", listed, warmup, warmup_leaves)


def long_context(
    *,
    seed: int = 0,
    requests: int = 48,
    long_every: int = 6,
    long_tokens: int = 1536,
    short_tokens: int = 64,
    output_tokens: int = 24,
    mean_gap_seconds: float = 0.01,
    warmup_leaves: int = 16,
) -> Workload:
    """Long prompts among short ones: chunked prefill, and the requests that wait behind it.

    Every `long_every`-th request is long. Nothing is shared.
    """
    draw = Draw("long_context", seed)
    require_positive(requests=requests, long_every=long_every)
    listed, clock = [], 0.0
    for index in range(requests):
        is_long = index % long_every == long_every // 2
        name, mean = ("long_tokens", long_tokens) if is_long else ("short_tokens", short_tokens)
        listed.append(
            Request(
                rid=f"{'long' if is_long else 'short'}-{index}",
                arrival_seconds=clock,
                prompt=(draw.segment("prompt", index, draw.around(name, mean)),),
                max_new_tokens=draw.around("output_tokens", output_tokens),
            )
        )
        clock = draw.later(clock, mean_gap_seconds)
    return draw.workload("long prompts among short ones", listed, [], warmup_leaves)


def bursts(
    *,
    seed: int = 0,
    bursts: int = 4,
    burst_requests: int = 20,
    burst_gap_seconds: float = 1.0,
    prefix_tokens: int = 64,
    unique_tokens: int = 96,
    output_tokens: int = 16,
    warmup_leaves: int = 16,
) -> Workload:
    """All requests of a burst arrive at one instant and share a short prefix of that burst.

    The first step of a burst sees the whole queue: admission, queue order, hits within a batch.
    """
    draw = Draw("bursts", seed)
    require_positive(bursts=bursts, burst_requests=burst_requests, prefix_tokens=prefix_tokens)
    require_seconds("burst_gap_seconds", burst_gap_seconds)
    listed = []
    for burst in range(bursts):
        head = draw.segment("prefix", burst, prefix_tokens)
        for index in range(burst_requests):
            unique = draw.around("unique_tokens", unique_tokens)
            tail = draw.segment("tail", burst * burst_requests + index, unique)
            listed.append(
                Request(
                    rid=f"burst-{burst}-{index}",
                    arrival_seconds=microseconds(burst * burst_gap_seconds),
                    prompt=(head, tail),
                    max_new_tokens=draw.around("output_tokens", output_tokens),
                )
            )
    return draw.workload("bursts of requests that arrive at one instant", listed, [], warmup_leaves)


def agents(
    *,
    seed: int = 0,
    conversations: int = 12,
    turns: int = 5,
    system_tokens: int = 192,
    turn_tokens: int = 64,
    output_tokens: int = 24,
    mean_think_seconds: float = 0.1,
    mean_gap_seconds: float = 0.02,
    warmup_leaves: int = 16,
) -> Workload:
    """Conversations whose prompt grows turn by turn, in a closed loop.

    Each turn's prompt is the one before, what the model emitted, and a new message; it is sent
    once the turn before has finished and the caller has thought for a while. All share one system
    prompt. A conversation evicted while its caller thinks must be computed again: recompute tax.
    """
    draw = Draw("agents", seed)
    require_positive(conversations=conversations, turns=turns, system_tokens=system_tokens)
    system = draw.segment("system", 0, system_tokens)
    listed, clock = [], 0.0
    for conversation in range(conversations):
        prompt: tuple[Segment, ...] = (system,)
        for turn in range(turns):
            message_tokens = draw.around("turn_tokens", turn_tokens)
            prompt += (draw.segment("message", conversation * turns + turn, message_tokens),)
            think_seconds = draw.later(0.0, mean_think_seconds)
            request = Request(
                rid=f"agent-{conversation}-{turn}",
                arrival_seconds=clock if turn == 0 else think_seconds,
                prompt=prompt,
                max_new_tokens=draw.around("output_tokens", output_tokens),
                after=None if turn == 0 else f"agent-{conversation}-{turn - 1}",
            )
            listed.append(request)
            prompt += (Segment(seed=None, length=request.max_new_tokens),)
        clock = draw.later(clock, mean_gap_seconds)
    warmup = [warmup_request("warm-system", system)]
    return draw.workload("conversations that grow turn by turn", listed, warmup, warmup_leaves)


def many_leaves(
    *,
    seed: int = 0,
    requests: int = 96,
    branches: int = 8,
    branch_tokens: int = 16,
    leaf_tokens: int = 24,
    output_tokens: int = 8,
    mean_gap_seconds: float = 0.005,
    warmup_leaves: int = 96,
) -> Workload:
    """Many short prompts under a few branches: a wide radix tree of small leaves.

    Eviction must free many nodes per page. The warm-up leaves fill the tree,
    so that there is something to evict and to pin from the first step on.
    """
    draw = Draw("many_leaves", seed)
    require_positive(requests=requests, branches=branches, branch_tokens=branch_tokens)
    heads = [draw.segment("branch", index, branch_tokens) for index in range(branches)]
    listed, clock = [], 0.0
    for index in range(requests):
        leaf = draw.segment("leaf", index, draw.around("leaf_tokens", leaf_tokens))
        listed.append(
            Request(
                rid=f"leaf-{index}",
                arrival_seconds=clock,
                prompt=(heads[draw.below(branches)], leaf),
                max_new_tokens=draw.around("output_tokens", output_tokens),
            )
        )
        clock = draw.later(clock, mean_gap_seconds)
    return draw.workload("many short prompts that make many radix leaves", listed, [], warmup_leaves)


def retraction_storm(
    *,
    seed: int = 0,
    requests: int = 64,
    prompt_tokens: int = 8,
    output_tokens: int = 128,
    mean_gap_seconds: float = 0.0,
    warmup_leaves: int = 16,
) -> Workload:
    """Short prompts and long outputs: decode outgrows the pool and the scheduler must retract.

    Admission guesses how much of each output will be needed. All requests being equally long,
    they grow in step and the guess is wrong for all of them at once. SGLang raises its guess after
    each retraction, so a handful of them is a storm.
    """
    draw = Draw("retraction_storm", seed)
    require_positive(requests=requests, output_tokens=output_tokens)
    listed, clock = [], 0.0
    for index in range(requests):
        listed.append(
            Request(
                rid=f"storm-{index}",
                arrival_seconds=clock,
                prompt=(draw.segment("prompt", index, draw.around("prompt_tokens", prompt_tokens)),),
                max_new_tokens=output_tokens,
            )
        )
        clock = draw.later(clock, mean_gap_seconds)
    return draw.workload("short prompts, outputs that outgrow the pool", listed, [], warmup_leaves)


#: The builders by name.
BUILDERS: Mapping[str, Builder] = MappingProxyType(
    {
        builder.__name__: builder
        for builder in (
            agents,
            bursts,
            disturbed,
            long_context,
            many_leaves,
            nearly_full,
            retraction_storm,
            scoring,
            shared_prefix,
        )
    }
)
