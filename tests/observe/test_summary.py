"""Metrics of small hand-made logs; the expected numbers are worked out beside each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exhausters.observe.decision_log import DecisionLog
from exhausters.observe.quantile import percentile
from exhausters.observe.run_facts import RunFacts
from exhausters.observe.step_record import DECODE, IDLE, MIXED, PREFILL, StepRecord
from exhausters.observe.summary import summarize


def _prefill(*parts: tuple[str, int, int], **more: Any) -> StepRecord:
    """A prefill of (rid, tokens computed, tokens cached)."""
    rids, tokens, prefixes = zip(*parts, strict=True)
    return StepRecord(
        step=0, mode=more.pop("mode", PREFILL), rids=rids, tokens=tokens, prefix_tokens=prefixes, **more
    )


def _decode(*rids: str, **more: Any) -> StepRecord:
    return StepRecord(step=0, mode=DECODE, rids=rids, tokens=(1,) * len(rids), **more)


def _idle(**more: Any) -> StepRecord:
    return StepRecord(step=0, mode=IDLE, **more)


def _summary(
    steps: Sequence[StepRecord],
    *,
    budget: int | None = 100,
    submitted: dict[str, int] | None = None,
    wanted: dict[str, int] | None = None,
) -> dict[str, Any]:
    log = DecisionLog(tuple(replace(one, step=number) for number, one in enumerate(steps)))
    facts = RunFacts(chunk_budget_tokens=budget, submitted_steps=submitted or {}, wanted_outputs=wanted or {})
    return summarize(log, facts)


def _expect(found: dict[str, Any], **wanted: Any) -> None:
    assert {name: found[name] for name in wanted} == pytest.approx(wanted)


def test_plain_run() -> None:
    """Two requests in one prefill, then decodes: steps, batches, outputs and waits."""
    found = _summary(
        [
            _idle(),
            _prefill(("a", 30, 0), ("b", 20, 10)),  # each emits its first token
            _decode("a", "b"),
            _decode("a"),
            _idle(),
        ],
        submitted={"a": 0, "b": 1},
        wanted={"a": 3, "b": 2},
    )
    _expect(
        found,
        steps_to_drain=5,
        prefill_steps=1,
        decode_steps=2,
        mixed_steps=0,
        idle_steps=2,
        requests_per_prefill_batch=2,
        tokens_per_prefill_batch=50,
        prefill_fill=0.5,
        running_batch_size_mean=1.5,  # (2 + 1) / 2
        running_batch_size_max=2,
        wait_steps_p50=0,  # b: 1 - 1; a: 1 - 0
        wait_steps_p99=1,
        wait_steps_max=1,
        prefill_tokens=50,
        recomputed_tokens=0,
        recompute_tax=0,
        cache_hit_tokens=10,
        chunked_requests=0,
        chunks=0,
        parked_steps=0,
        output_tokens=5,
        unfinished_requests=0,
    )
    assert found["chunk_tokens_mean"] is None
    assert found["chunked_prefill_tokens_per_second"] is None


def test_empty_run() -> None:
    """A run without a step has counts of zero, and no means, medians, rates or shares."""
    found = _summary([], wanted={"a": 1})
    assert found["unfinished_requests"] == 1
    assert found["steps_to_drain"] == found["output_tokens"] == found["modelled_seconds"] == 0
    without = {name for name, value in found.items() if value is None}
    assert without >= {
        "requests_per_prefill_batch",
        "tokens_per_prefill_batch",
        "prefill_fill",
        "running_batch_size_mean",
        "running_batch_size_max",
        "wait_steps_p50",
        "wait_steps_max",
        "recompute_tax",
        "chunk_tokens_mean",
        "output_tokens_per_second",
    }


def test_without_chunking_there_is_no_fill() -> None:
    """Where chunking is off there is no budget to fill."""
    assert _summary([_prefill(("a", 30, 0))], budget=None)["prefill_fill"] is None


def test_chunks_and_parks() -> None:
    """A prompt of 250 tokens in chunks of 100, with one forward that leaves it out."""
    found = _summary(
        [
            _prefill(("a", 100, 0), chunked_rid="a", forward_ns=1_000_000_000),
            _decode("z", chunked_rid="a", forward_ns=500_000_000),  # a park
            _prefill(("a", 100, 100), chunked_rid="a", forward_ns=1_000_000_000),
            _prefill(("a", 50, 200), ("b", 40, 0), forward_ns=2_000_000_000),
            _decode("a", "b", forward_ns=500_000_000),
        ],
        wanted={"z": 1, "a": 2, "b": 2},
    )
    _expect(
        found,
        chunked_requests=1,
        chunks=3,
        chunk_tokens_mean=250 / 3,
        parked_steps=1,
        prefill_tokens=290,
        tokens_per_prefill_batch=290 / 3,
        cache_hit_tokens=0,  # what its own chunks left is no hit
        recomputed_tokens=0,
        output_tokens=1 + 2 + 2,  # z; a and b at the end of their prefill; both decode
        chunked_prefill_tokens_per_second=290 / 4,  # three steps ran a chunk, 4 s; b rode along
        modelled_seconds=5,
        output_tokens_per_second=1,
    )


def test_an_aborted_chunk_is_not_parked_for_ever() -> None:
    """Once the scheduler has let go of the chunked request, forwards without it are no parks."""
    found = _summary([_prefill(("a", 100, 0), chunked_rid="a"), _decode("z"), _decode("z")])
    assert found["parked_steps"] == 0


def test_retraction_is_recomputed() -> None:
    """A retracted request computes its prompt and outputs again, but for what the tree still holds."""
    found = _summary(
        [
            _prefill(("a", 30, 0), ("b", 30, 0)),  # b: 30 tokens of KV
            _decode("a", "b"),  # b: 31
            _decode("a", retracted_rids=("b",), retracted_tokens=31),
            # Its prompt of 30 and two outputs; 16 were found in the tree. 15 of the 16 computed ones
            # had been computed before, the last output had not.
            _prefill(("b", 16, 16)),
            _decode("b"),
        ],
        wanted={"a": 3, "b": 4},
    )
    _expect(
        found,
        retractions=1,
        retracted_tokens=31,
        prefill_tokens=76,
        recomputed_tokens=15,
        recompute_tax=15 / 76,
        cache_hit_tokens=0,  # only the first prefill counts
        output_tokens=3 + 4,
        unfinished_requests=0,
    )


def test_mixed_batch_tells_decoding_from_prefill() -> None:
    """In a mixed batch decoding requests emit a token and count as no prefill."""
    found = _summary(
        [
            _prefill(("a", 30, 0)),
            _prefill(("b", 40, 0), ("a", 1, 30), mode=MIXED, chunked_rid="b", decoding_requests=1),
            _prefill(
                ("b", 1, 40), ("a", 1, 31), mode=MIXED, decoding_requests=1
            ),  # the last chunk has one token
            _decode("a", "b"),
        ],
        wanted={"a": 4, "b": 2},
    )
    _expect(
        found,
        mixed_steps=2,
        prefill_steps=1,
        decode_steps=1,
        prefill_tokens=71,
        tokens_per_prefill_batch=71 / 3,
        prefill_fill=(30 / 100 + 40 / 99 + 1 / 99) / 3,  # the decoding request uses up one token
        requests_per_prefill_batch=3 / 3,
        chunks=2,
        chunk_tokens_mean=20.5,
        output_tokens=6,
        recomputed_tokens=0,
        unfinished_requests=0,
    )


def test_evictions_add_up() -> None:
    """Calls, tokens asked and tokens freed are sums over all steps, idle ones included."""
    found = _summary(
        [
            _idle(evict_calls=1, evict_asked_tokens=10),
            _decode("a", evict_calls=2, evict_asked_tokens=5, evict_given_tokens=16),
        ]
    )
    _expect(found, eviction_calls=3, evict_asked_tokens=15, evicted_tokens=16)


def test_requests_that_were_never_submitted_have_no_wait() -> None:
    """Warm-up requests that show up in the log do not count as waits."""
    assert _summary([_prefill(("warm", 5, 0))])["wait_steps_p50"] is None


@pytest.mark.parametrize(
    ("percent", "expected"), [(0, 10), (1, 10), (25, 10), (26, 20), (50, 20), (75, 30), (99, 40), (100, 40)]
)
def test_percentile_is_nearest_rank(percent: float, expected: float) -> None:
    """Of four values each covers a quarter, its upper end included."""
    assert percentile([10, 20, 30, 40], percent) == expected


def test_percentile_of_nothing() -> None:
    """No values, no percentile."""
    assert percentile([], 50) is None


@given(st.lists(st.integers(), min_size=1).map(sorted), st.floats(0, 100))
def test_percentile_is_one_of_the_values(ordered: list[int], percent: float) -> None:
    """At least `percent` of the values are no larger than the percentile, which is one of them."""
    found = percentile(ordered, percent)
    assert found is not None
    assert found in ordered
    assert sum(value <= found for value in ordered) >= percent / 100 * len(ordered) - 1e-9
