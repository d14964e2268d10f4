from __future__ import annotations

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exhausters.workloads import CanaryText, FixedToken, Request, Segment
from exhausters.workloads.emitted import (
    CANARY_TOKENS,
    FIRST_CANARY_TOKEN,
    SEQUENCE_TOKENS_MAX,
    canary_token,
    fingerprint,
    weight,
)
from exhausters.workloads.tokens import FIRST_TOKEN_MIN

_TOKENS = st.lists(st.integers(0, (1 << 31) - 1), min_size=1, max_size=40)


@given(tokens=_TOKENS, count=st.integers(0, 20), cut=st.integers(0, 20))
def test_a_text_goes_on(tokens: list[int], count: int, cut: int) -> None:
    """What is emitted behind a sequence is what is emitted behind it and the beginning of its own text."""
    text = CanaryText().after(tokens, count)
    assert len(text) == count
    head = text[: min(cut, count)]
    assert CanaryText().after([*tokens, *head], count - len(head)) == text[len(head) :]


@given(tokens=_TOKENS)
def test_a_text_is_the_hash_of_what_slots_hold(tokens: list[int]) -> None:
    """The reference is the sum that the model makes of its slots, by the functions that the model calls."""
    total = sum(fingerprint(token, place) * weight(place) for place, token in enumerate(tokens))
    assert list(CanaryText().after(tokens, 1)) == [canary_token(total, len(tokens))]


@given(tokens=_TOKENS, count=st.integers(1, 20))
def test_a_text_has_no_special_token(tokens: list[int], count: int) -> None:
    """No output is an end of text, outside the vocabulary, or the first token of a segment."""
    for token in CanaryText().after(tokens, count):
        assert FIRST_CANARY_TOKEN <= token < FIRST_CANARY_TOKEN + CANARY_TOKENS < FIRST_TOKEN_MIN


@pytest.mark.parametrize("other", [[1, 2, 4], [1, 3, 2], [2, 1, 3], [1, 2], [1, 2, 3, 3], [0, 2, 3]])
def test_another_sequence_has_another_text(other: list[int]) -> None:
    """A token that is changed, moved, added or left out changes the text."""
    assert CanaryText().after([1, 2, 3], 4) != CanaryText().after(other, 4)


def test_wrong_slots_go_unseen_as_often_as_chance_allows() -> None:
    """Of 2,000 sequences with one wrong token two outputs of all but a few differ from the right ones."""
    right = CanaryText().after(range(100), 2)
    outputs = [
        CanaryText().after([*range(place), 7_000 + number, *range(place + 1, 100)], 2)
        for number in range(20)
        for place in range(100)
    ]
    unseen = sum(one[0] == right[0] for one in outputs)
    assert unseen < 10  # two are expected
    assert not any(one == right for one in outputs)


def test_no_sum_leaves_63_bits() -> None:
    """The longest sequence of the largest fingerprints and weights is still a whole number of a tensor."""
    assert SEQUENCE_TOKENS_MAX * ((1 << 24) - 1) * ((1 << 18) - 1) < 1 << 63
    for token in (0, 1, (1 << 31) - 1):
        for position in (0, 1, SEQUENCE_TOKENS_MAX - 1):
            assert 0 <= fingerprint(token, position) < 1 << 24
            assert 0 < weight(position) < 1 << 18
            assert canary_token(0, position) >= FIRST_CANARY_TOKEN


def test_a_prompt_has_what_the_model_said() -> None:
    """A segment without a seed is the text behind what stands before it, of whatever the model emits."""
    first, last = Segment(seed=1, length=3), Segment(seed=2, length=2)
    request = Request(
        rid="a",
        arrival_seconds=0.0,
        prompt=(first, Segment(seed=None, length=4), last),
        max_new_tokens=1,
    )
    head = first.tokens(FixedToken(5))
    said = CanaryText().after(head, 4)
    assert request.tokens(CanaryText()) == head + said + last.tokens(CanaryText())
    assert request.tokens(FixedToken(5))[3:7] == array("q", [5] * 4)
