"""Adapters, grammars, sessions and log-probabilities: arguments of every workload, no part of others."""

from __future__ import annotations

import pytest

from exhausters.errors import WorkloadError
from exhausters.workloads import BUILDERS, FixedToken, parse_workload, token_hits
from exhausters.workloads.request import GRAMMAR_STEPS_MAX, Request, Segment, Session

_ARGUMENTS = ("adapters=3", "grammar_steps=4", "logprobs_from=8")


@pytest.mark.parametrize("argument", _ARGUMENTS)
@pytest.mark.parametrize("name", sorted(BUILDERS))
def test_every_builder_takes_it(name: str, argument: str) -> None:
    """Another digest, the same prompts, arrivals and warm-up; without it the workload is what it was."""
    plain, given = parse_workload(name), parse_workload(f"{name}:{argument}")
    assert given.digest != plain.digest
    assert given.warmup_requests == plain.warmup_requests
    for one, other in zip(plain.requests, given.requests, strict=True):
        assert (one.rid, one.prompt, one.arrival_seconds) == (other.rid, other.prompt, other.arrival_seconds)
    key = argument.partition("=")[0]
    assert parse_workload(f"{name}:{key}=none").digest == plain.digest


def test_conversations_keep_their_adapter() -> None:
    """Adapters go round among conversations; each turn names that of the turn before."""
    requests = parse_workload("agents:adapters=2,conversations=3,turns=2").requests
    assert [(one.rid, one.adapter) for one in requests] == [
        ("agent-0-0", "adapter-0"),
        ("agent-0-1", "adapter-0"),
        ("agent-1-0", "adapter-1"),
        ("agent-1-1", "adapter-1"),
        ("agent-2-0", "adapter-0"),
        ("agent-2-1", "adapter-0"),
    ]


def test_adapters_share_no_prefix() -> None:
    """An infinite cache serves less when the same prompts are for different adapters."""
    one, three = (parse_workload(f"shared_prefix:adapters={count}") for count in (1, 3))
    plain = token_hits(parse_workload("shared_prefix"), page_size=16).hit_tokens
    # Those of the warm-up are for the base model.
    assert token_hits(three, page_size=16).hit_tokens < token_hits(one, page_size=16).hit_tokens < plain


def test_every_second_request_has_a_grammar_of_its_own() -> None:
    """Batches have requests with and without; the steps are the argument's."""
    steps = [one.grammar_steps for one in parse_workload("bursts:grammar_steps=5").requests]
    assert steps == [None, 5] * (len(steps) // 2)


def test_logprobs_stay_in_the_prompt() -> None:
    """A position behind a prompt is that of its last token."""
    requests = parse_workload("long_context:logprobs_from=100").requests
    assert {one.logprobs_from for one in requests[::2]} == {None}
    assert [one.logprobs_from for one in requests[1::2]] == [
        min(100, one.prompt_tokens - 1) for one in requests[1::2]
    ]


def test_a_turn_of_a_session_sends_what_is_new() -> None:
    """What a session has is the prompt of the turn before and all that was emitted behind it."""
    text = FixedToken(7)
    for session in ("plain", "streaming"):
        turns = [
            one
            for one in parse_workload(f"agents:conversations=2,sessions={session}").requests
            if one.rid.startswith("agent-1-")
        ]
        had = turns[0].tokens(text)[:0]
        for turn in turns:
            assert turn.session == Session(
                name="session-agent-1-0", streams=session == "streaming", has_tokens=len(had)
            )
            prompt = turn.tokens(text)
            assert prompt[: len(had)] == had
            had = prompt + text.after(prompt, turn.output_tokens)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("agents:sessions=open", "must be plain or streaming"),
        ("bursts:sessions=plain", "no request follows another"),
        ("bursts:adapters=0", "adapters=0: must be >= 1"),
        ("bursts:grammar_steps=-1", "grammar_steps=-1: must be >= 0"),
        (f"bursts:grammar_steps={GRAMMAR_STEPS_MAX + 1}", f"must be <= {GRAMMAR_STEPS_MAX}"),
        ("bursts:logprobs_from=-1", "logprobs_from=-1: must be >= 0"),
    ],
)
def test_bad_values_are_refused(text: str, said: str) -> None:
    """The error names the argument and what it may be."""
    with pytest.raises(WorkloadError, match=said):
        parse_workload(text)


@pytest.mark.parametrize(("has_tokens", "after"), [(8, "a"), (9, "a"), (4, None)])
def test_a_session_has_less_than_the_prompt(has_tokens: int, after: str | None) -> None:
    """A turn that would send nothing, or a first turn that sends a part, is refused."""
    session = Session(name="s", streams=True, has_tokens=has_tokens)
    with pytest.raises(WorkloadError, match=f"has_tokens={has_tokens}"):
        Request(
            rid="b",
            arrival_seconds=0,
            prompt=(Segment(seed=1, length=8),),
            max_new_tokens=1,
            after=after,
            session=session,
        )
