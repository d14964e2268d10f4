from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from exhausters.errors import WorkloadError
from exhausters.workloads import BUILDERS, Segment, Workload, build, many_leaves, retraction_storm, summarise
from exhausters.workloads.event import ACTIONS, STAGES

POOL_TOKENS = 4096

# First digits of the digests at the defaults. A change here is a change of every stored result:
# do it knowingly.
PINNED_DIGESTS = {
    "agents": "6e625e167bbfef5c",
    "bursts": "3e68100525e09404",
    "disturbed": "1d0b5b1b4b78d4f0",
    "long_context": "56e2a59f382ef68d",
    "many_leaves": "2e61ba1ce39bcc6a",
    "nearly_full": "149a7bc7b6308f19",
    "retraction_storm": "6c5f8eab774c95a1",
    "scoring": "9c998fa43ebff7e9",
    "shared_prefix": "aec22fa275f65db1",
}


def distinct_tokens(workload: Workload) -> int:
    """Tokens an infinite cache would hold in the end, about."""
    seen = {part.seed: part.length for r in workload.requests for part in r.prompt if part.seed is not None}
    return sum(seen.values()) + sum(r.max_new_tokens for r in workload.requests)


@pytest.mark.parametrize("name", BUILDERS)
def test_defaults_are_pinned(name: str) -> None:
    """The default workloads are the same on every machine and Python: results can be compared."""
    assert build(name).digest[:16] == PINNED_DIGESTS[name]


@pytest.mark.parametrize("name", BUILDERS)
def test_seed_changes_all_content(name: str) -> None:
    """Another seed is other content, so a cache that was not cleared cannot help."""
    one, other = build(name, seed=0), build(name, seed=1)
    assert one.digest != other.digest
    assert (one.seed, other.seed) == (0, 1)
    seeds = [
        {part.seed for r in (*w.requests, *w.warmup_requests) for part in r.prompt} for w in (one, other)
    ]
    assert seeds[0] & seeds[1] <= {None}


@pytest.mark.parametrize("name", BUILDERS)
def test_defaults_press_on_a_small_pool_and_fit_it(name: str) -> None:
    """Defaults are CPU sized, each request fits a pool of 4,096 tokens, and together they do not."""
    workload = build(name)
    summary = summarise(workload)
    assert 30 <= summary.request_count <= 100
    assert summary.longest_request_tokens < POOL_TOKENS
    warm_tokens = sum(r.prompt_tokens for r in workload.warmup_requests)
    assert 0 < warm_tokens < POOL_TOKENS
    assert distinct_tokens(workload) + warm_tokens > POOL_TOKENS


@pytest.mark.parametrize("name", BUILDERS)
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seed": -1}, "seed=-1: must be >= 0"),
        ({"seed": 1.5}, "seed=1.5: must be an integer"),
        ({"warmup_leaves": -1}, "warmup_leaves=-1: must be >= 0"),
        ({"output_tokens": 0}, "output_tokens=0: must be >= 1"),
        ({"colour": 3}, "colour: is unknown; the arguments are .*output_tokens"),
    ],
)
def test_bad_argument_is_refused(name: str, arguments: dict[str, Any], message: str) -> None:
    """A bad argument is named with its value and what was expected, and never reaches a scheduler."""
    with pytest.raises(WorkloadError, match=message):
        build(name, **arguments)


def test_unknown_builder_lists_what_exists() -> None:
    """A typo in a name is answered with the names that exist."""
    with pytest.raises(WorkloadError, match=r"'agent': is unknown.*agents.*retraction_storm.*mooncake"):
        build("agent")


def test_shared_prefix_is_shared() -> None:
    """Most prompt tokens of shared_prefix could come from the cache, also at page size 64."""
    assert summarise(build("shared_prefix"), page_size=64).shared_fraction > 0.6


def test_long_context_mixes_lengths() -> None:
    """One request in `long_every` is long, and the others are short."""
    lengths = [r.prompt_tokens for r in build("long_context", requests=24, long_every=4).requests]
    assert sum(length > 700 for length in lengths) == 6
    assert sum(length < 100 for length in lengths) == 18


def test_bursts_arrive_together() -> None:
    """The requests of a burst arrive at one instant, and bursts are apart."""
    arrivals = [r.arrival_seconds for r in build("bursts", bursts=3, burst_requests=5).requests]
    assert arrivals == [0.0] * 5 + [1.0] * 5 + [2.0] * 5


def test_agents_repeat_what_was_said() -> None:
    """Each turn's prompt is the one before, its output as emitted tokens, and a new message."""
    workload = build("agents", conversations=2, turns=3)
    by_rid = {r.rid: r for r in workload.requests}
    for request in workload.requests:
        if request.after is not None:
            before = by_rid[request.after]
            said = Segment(seed=None, length=before.max_new_tokens)
            assert request.prompt[:-1] == (*before.prompt, said)
    assert sum(r.after is None for r in workload.requests) == 2


def test_many_leaves_makes_a_leaf_per_request() -> None:
    """No two requests of many_leaves end in the same leaf."""
    workload = many_leaves(requests=50, warmup_leaves=20)
    leaves = {r.prompt[-1].seed for r in (*workload.requests, *workload.warmup_requests)}
    assert len(leaves) == 70


def test_retraction_storm_outgrows_the_pool() -> None:
    """All prompts of retraction_storm fit the pool at once; with their outputs they do not."""
    summary = summarise(retraction_storm())
    assert summary.prompt_tokens < POOL_TOKENS / 4
    assert summary.prompt_tokens + summary.output_tokens > 1.5 * POOL_TOKENS


def test_disturbed_has_every_event_once_or_one_stage() -> None:
    """By default each action meets each stage; with a stage, each action meets that one alone."""
    every = Counter(one for r in build("disturbed").requests for one in r.events)
    assert set(every.values()) == {1}
    assert {(one.action, one.stage) for one in every} == {(a, s) for a in ACTIONS for s in STAGES}
    chosen = {one for r in build("disturbed", stage="running", every=1).requests for one in r.events}
    assert {(one.action, one.stage) for one in chosen} == {(a, "running") for a in ACTIONS}
    with pytest.raises(WorkloadError, match="stage='nowhere': must be one of all, waiting"):
        build("disturbed", stage="nowhere")


def test_scoring_asks_for_prompts_alone() -> None:
    """No output is asked for, and every second prompt is scored from its first token."""
    requests = build("scoring").requests
    assert {r.max_new_tokens for r in requests} == {0}
    assert [r.logprobs_from for r in requests[:4]] == [None, 0, None, 0]
    assert {r.max_new_tokens for r in build("scoring", prefill_only=False, output_tokens=3).requests} == {3}


def test_nearly_full_fills_the_pool() -> None:
    """Each large request fills the pool but for what is spared; a pool that is too small is refused."""
    large = [r for r in build("nearly_full", pool_tokens=2048).requests if r.rid.startswith("full")]
    assert {r.prompt_tokens + r.max_new_tokens for r in large} == {2048 - 32}
    with pytest.raises(WorkloadError, match="pool_tokens=100: must be > output_tokens"):
        build("nearly_full", pool_tokens=100)
