from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from exhausters.workloads.tokens import FIRST_TOKEN_MIN, expand, first_token, stable_seed

seeds = st.integers(min_value=0, max_value=2**63)
lengths = st.integers(min_value=1, max_value=6000)


@given(seed=seeds, shorter=lengths, longer=lengths)
def test_shorter_is_prefix_of_longer(seed: int, shorter: int, longer: int) -> None:
    """Two segments of one seed share min(length) tokens: sharing in a workload is what it says."""
    shorter, longer = sorted((shorter, longer))
    assert expand(seed, longer)[:shorter] == expand(seed, shorter)


@given(seed=seeds, length=lengths)
def test_shape_and_ranges(seed: int, length: int) -> None:
    """Tokens fit a signed 32-bit integer, and only offset 0 is in the range of first tokens."""
    tokens = expand(seed, length)
    assert tokens.typecode == "q"
    assert len(tokens) == length
    assert FIRST_TOKEN_MIN <= tokens[0] < 2**31 - 1
    assert all(0 <= token < FIRST_TOKEN_MIN for token in tokens[1:])


@given(one=st.integers(0, 2**31 - 65538), other=st.integers(0, 2**31 - 65538))
def test_first_tokens_of_dense_seeds_differ(one: int, other: int) -> None:
    """Seeds below 2**31 - 65537 never share a first token, so no prefix is shared by accident."""
    assert (first_token(one) == first_token(other)) == (one == other)


def test_expansion_is_pinned() -> None:
    """The tokens of a seed never change unnoticed: results of different months stay comparable."""
    assert expand(0, 4).tolist() == [65536, 13921, 54787, 20050]
    assert expand(12345, 5).tolist() == [61561510, 42582, 32322, 20460, 33077]
    assert stable_seed("a", 1) == 2473173709504003573


def test_body_is_shake_128() -> None:
    """The body is what the documentation says, so that another tool can make the same prompts."""
    words = hashlib.shake_128(b"exhausters:77").digest(20)
    expected = [int.from_bytes(words[2 * i : 2 * i + 2], "little") for i in range(1, 10)]
    assert expand(77, 10).tolist() == [first_token(77), *expected]


def test_expansion_is_not_shared() -> None:
    """A caller who changes its array does not change anyone else's, cached or not."""
    for length in (8, 10_000):
        mine = expand(5, length)
        mine[0] = -1
        assert expand(5, length)[0] == first_token(5)


def test_stable_seed_tells_parts_apart() -> None:
    """Different parts give different seeds, also where their texts run together."""
    assert len({stable_seed("a", 1), stable_seed("a", "1"), stable_seed("a1"), stable_seed("a", 1, "")}) == 4
