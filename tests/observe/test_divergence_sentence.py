"""The first divergence in words: what a reviewer reads first."""

from __future__ import annotations

from typing import Any

import pytest

from exhausters.observe.divergence_sentence import divergence_sentence
from exhausters.observe.step_record import DECODE, IDLE, PREFILL, StepRecord


def _prefill(**facts: Any) -> StepRecord:
    given = {"rids": ("a", "b"), "tokens": (100, 50), "prefix_tokens": (0, 16), **facts}
    return StepRecord(step=3, mode=PREFILL, **given)


def _decode(*rids: str, **facts: Any) -> StepRecord:
    return StepRecord(step=3, mode=DECODE, rids=rids, tokens=(1,) * len(rids), **facts)


_CASES = [
    (
        _prefill(),
        _prefill(rids=("a", "b", "c"), tokens=(100, 50, 30), prefix_tokens=(0, 16, 0), chunked_rid="c"),
        "step 3: head also admits c with 30 of its tokens (batch 2 → 3 requests, 150 → 180 tokens)",
    ),
    (
        _prefill(),
        _prefill(rids=("a",), tokens=(100,), prefix_tokens=(0,)),
        "step 3: head leaves out b with 50 tokens (batch 2 → 1 requests, 150 → 100 tokens)",
    ),
    (
        _prefill(),
        _prefill(rids=("b", "a"), tokens=(50, 100), prefix_tokens=(16, 0)),
        "step 3: head orders the batch b, a, base a, b",
    ),
    (
        _prefill(),
        _prefill(tokens=(100, 34), prefix_tokens=(0, 32)),
        "step 3: head finds 16 more tokens of b in the cache (16 → 32; batch 2 requests, 150 → 134 tokens)",
    ),
    (
        _prefill(),
        _prefill(tokens=(100, 40)),
        "step 3: head computes 40 tokens of b, base 50 (batch 2 requests, 150 → 140 tokens)",
    ),
    (_prefill(), _decode("x"), "step 3: head decodes 1 request, base prefills a, b (150 tokens)"),
    (StepRecord(step=3, mode=IDLE), _decode("x", "y"), "step 3: head decodes 2 requests, base runs nothing"),
    (
        _decode("a", "b"),
        _decode("a", retracted_rids=("b",)),
        "step 3: head retracts b",
    ),
    (
        _decode("a", retracted_rids=("b",)),
        _decode("a", "b"),
        "step 3: head does not retract b",
    ),
    (
        _decode("a"),
        _decode("a", evict_calls=1, evict_asked_tokens=64, evict_given_tokens=80),
        "step 3: head evicts 80 tokens in 1 call that asked for 64, base 0 in 0 calls that asked for 0",
    ),
    (
        _decode("a", free_tokens=512),
        _decode("a", free_tokens=496, waiting=1),
        "step 3: the same batch; after it free KV tokens 512 → 496, waiting requests 0 → 1",
    ),
    (None, _decode("a"), "step 3: base has ended, head decodes 1 request"),
    (_decode("a"), None, "step 3: head has ended, base decodes 1 request"),
]


@pytest.mark.parametrize(("base", "head", "sentence"), _CASES)
def test_names_the_first_decision_that_differs(
    base: StepRecord | None, head: StepRecord | None, sentence: str
) -> None:
    """Retractions come before the kind of batch, members before tokens, and pools last."""
    assert divergence_sentence(base, head) == sentence


def test_every_field_that_differs_gives_a_sentence() -> None:
    """No difference that the digest sees is without words."""
    plain = _prefill()
    changed = {str: "other", int: 7, tuple: ("z",), type(None): "a"}
    for name in StepRecord.__dataclass_fields__:
        if name in ("step", "mode", "rids", "tokens", "prefix_tokens"):
            continue
        value = changed[type(getattr(plain, name))]
        other = _prefill(**{name: value})
        assert divergence_sentence(plain, other).startswith("step 3: "), name


def test_equal_records_are_refused() -> None:
    """A divergence that is none is a mistake of the caller."""
    with pytest.raises(ValueError, match="equal"):
        divergence_sentence(_prefill(), _prefill())
    with pytest.raises(ValueError, match="both logs"):
        divergence_sentence(None, None)
