"""Seeded workloads for switches and paths that plain generation never takes; as those of `synthetic.py`."""

from __future__ import annotations

from exhausters.errors import WorkloadError
from exhausters.workloads.draw import Draw, require_positive
from exhausters.workloads.event import ABORT, ACTIONS, CHUNKED, COMPILING, STAGES, WAITING, Event
from exhausters.workloads.request import Request, require_int
from exhausters.workloads.workload import Workload

# The first requests do not wait for anybody: begin with those that run.
_FIRST_STAGE = 2
_EVERY_STAGE = "all"


def disturbed(
    *,
    seed: int = 0,
    requests: int = 30,
    every: int = 2,
    stage: str = _EVERY_STAGE,
    pauses: bool = True,
    long_tokens: int = 640,
    short_tokens: int = 48,
    output_tokens: int = 32,
    mean_gap_seconds: float = 0.005,
    warmup_leaves: int = 4,
) -> Workload:
    """Requests that are aborted, and pauses of the engine, at each stage of a request's life.

    Every `every`-th request has an event: the five stages in turn, or always `stage`, and with `pauses` the
    three actions. Every third request is long: it is prefilled in chunks. All have outputs of one length, so
    that under pressure they are retracted: the stage `retracted` comes up in no other way, and seldom for
    one that was chosen before. The stage `compiling`, which only requests with a grammar have, is none of the
    five.
    """
    draw = Draw("disturbed", seed)
    require_positive(requests=requests, every=every, output_tokens=output_tokens)
    known = (_EVERY_STAGE, *STAGES, COMPILING)
    if stage not in known:
        raise WorkloadError(f"stage={stage!r}: must be one of {', '.join(known)}")
    stages = STAGES if stage == _EVERY_STAGE else (stage,)
    actions = ACTIONS if pauses else (ABORT,)
    listed, clock, number = [], 0.0, 0
    digits = len(str(requests - 1))
    for index in range(requests):
        events: tuple[Event, ...] = ()
        due = stages[(number + _FIRST_STAGE) % len(stages)]
        is_long = index % 3 == 1
        if index % every == every - 1:
            action = actions[number // len(stages) % len(actions)]
            events, number = (Event(action=action, stage=due),), number + 1
            # What is to happen while it is chunked needs a long one.
            is_long = due == CHUNKED or (is_long and due != WAITING)
        name, mean = ("long_tokens", long_tokens) if is_long else ("short_tokens", short_tokens)
        prompt = draw.segment("prompt", index, draw.around(name, mean))
        listed.append(
            Request(
                # Of equal length: SGLang aborts every request whose id begins with that of the abort.
                rid=f"disturbed-{index:0{digits}}",
                arrival_seconds=clock,
                prompt=(prompt,),
                max_new_tokens=output_tokens,
                events=events,
            )
        )
        clock = draw.later(clock, mean_gap_seconds)
    return draw.workload("aborts and pauses at each stage of a request", listed, [], warmup_leaves)


def scoring(
    *,
    seed: int = 0,
    requests: int = 32,
    prefix_tokens: int = 128,
    unique_tokens: int = 192,
    output_tokens: int = 1,
    prefill_only: bool = True,
    logprob_every: int = 2,
    mean_gap_seconds: float = 0.002,
    warmup_leaves: int = 4,
) -> Workload:
    """Requests that are prefilled and nothing else, some with log-probabilities of their whole prompt.

    All share a prefix. With `prefill_only` they ask for no output at all, else for `output_tokens`. Every
    `logprob_every`-th asks for log-probabilities from the first token on, for which SGLang must compute the
    prefix again; 0 for none.
    """
    draw = Draw("scoring", seed)
    require_positive(requests=requests, output_tokens=output_tokens)
    require_int("logprob_every", logprob_every, minimum=0)
    head = draw.segment("prefix", 0, prefix_tokens)
    listed, clock = [], 0.0
    for index in range(requests):
        tail = draw.segment("tail", index, draw.around("unique_tokens", unique_tokens))
        scored = logprob_every > 0 and index % logprob_every == logprob_every - 1
        listed.append(
            Request(
                rid=f"scoring-{index}",
                arrival_seconds=clock,
                prompt=(head, tail),
                max_new_tokens=0 if prefill_only else output_tokens,
                logprobs_from=0 if scored else None,
            )
        )
        clock = draw.later(clock, mean_gap_seconds)
    return draw.workload("prompts that are scored, without outputs", listed, [], warmup_leaves)


def nearly_full(
    *,
    seed: int = 0,
    requests: int = 32,
    pool_tokens: int = 4096,
    spare_tokens: int = 32,
    output_tokens: int = 96,
    short_every: int = 2,
    mean_gap_seconds: float = 0.0,
    warmup_leaves: int = 4,
) -> Workload:
    """Requests whose prompt and outputs fill a KV pool of `pool_tokens` but for `spare_tokens`.

    Every `short_every`-th is small, and would fit beside none of the others.
    """
    draw = Draw("nearly_full", seed)
    require_positive(requests=requests, short_every=short_every, output_tokens=output_tokens)
    require_positive(pool_tokens=pool_tokens, spare_tokens=spare_tokens)
    listed, clock = [], 0.0
    for index in range(requests):
        is_short = index % short_every == short_every - 1
        prompt_tokens = 2 * spare_tokens if is_short else pool_tokens - output_tokens - spare_tokens
        if prompt_tokens < 1:
            raise WorkloadError(
                f"pool_tokens={pool_tokens}: must be > output_tokens + spare_tokens = "
                f"{output_tokens + spare_tokens}"
            )
        listed.append(
            Request(
                rid=f"{'small' if is_short else 'full'}-{index}",
                arrival_seconds=clock,
                prompt=(draw.segment("prompt", index, prompt_tokens),),
                max_new_tokens=output_tokens,
            )
        )
        clock = draw.later(clock, mean_gap_seconds)
    return draw.workload("requests that fill the pool, one at a time", listed, [], warmup_leaves)
