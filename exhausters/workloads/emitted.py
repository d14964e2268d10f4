"""What a null model emits, computed without it: for prompts that contain outputs, and to judge a run by.

The canary model writes a fingerprint of (token, position) into each KV slot, and emits a hash of the
fingerprints that a request's page table leads it to. All of that arithmetic is here, on whole numbers that
stay below 2**63, so that the model does the same on tensors (`exhausters.engine.sglang.null_models.canary`).

Everything here is imported inside the worker: standard library only.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

# The canary's tokens: above every special token, below the body tokens' limit of `tokens.py`.
FIRST_CANARY_TOKEN = 16
# A prime: a wrong slot goes unseen in one output in about a thousand, and in the next one independently.
CANARY_TOKENS = 1009
#: Longest sequence for which no sum leaves 63 bits: 2**20 products of 24 and 18 bits.
SEQUENCE_TOKENS_MAX = 1 << 20

_PRIME = (1 << 31) - 1
_LOW_31_BITS = (1 << 31) - 1
_LOW_32_BITS = (1 << 32) - 1
_LOW_24_BITS = (1 << 24) - 1
# Odd multipliers below 2**31, from the golden ratio and the square roots of 2 and 3.
_TOKEN_STEP = 0x4F1BBCDD
_POSITION_STEP = 0x3504F333
_MIX_STEP = 0x5DB3D743
_WEIGHT_STEP = 0x9E3779B1
_LENGTH_STEP = 0x41C64E6D


class EmittedText(Protocol):
    """What a null model emits after a sequence of tokens."""

    @property
    def fixed_token(self) -> int | None:
        """The token that is emitted for ever; None where the text depends on what stands before it."""

    def after(self, tokens: Sequence[int], count: int) -> array[int]:
        """Return the `count` (>= 0) tokens that are emitted one by one behind `tokens`; typecode 'q'."""


@dataclass(frozen=True, slots=True)
class FixedToken:
    """The text of a model that emits one token for ever.

    Attributes:
        token: that token.
    """

    token: int

    @property
    def fixed_token(self) -> int:
        """That token."""
        return self.token

    def after(self, tokens: Sequence[int], count: int) -> array[int]:
        """The token, `count` times."""
        return array("q", [self.token]) * count


# Of a model that nobody has told which token to emit.
DEFAULT_TEXT = FixedToken(5)


@dataclass(frozen=True, slots=True)
class CanaryText:
    """The text of the canary model: each token is a hash of all tokens before it and their positions."""

    @property
    def fixed_token(self) -> None:
        """There is none."""
        return None

    def after(self, tokens: Sequence[int], count: int) -> array[int]:
        """Hash on; O(len(tokens) + count)."""
        emitted = array("q")
        total = 0
        # `fingerprint` and `weight` written out: a call for each token would take most of the time.
        for token, (step, weighs) in zip(tokens, _places(len(tokens)), strict=False):
            mixed = token * _TOKEN_STEP + step
            mixed = ((mixed ^ (mixed >> 29)) & _LOW_31_BITS) * _MIX_STEP
            total += ((mixed >> 24) & _LOW_24_BITS) * weighs
        for length in range(len(tokens), len(tokens) + count):
            token = canary_token(total, length)
            emitted.append(token)
            total += fingerprint(token, length) * weight(length)
        return emitted


def fingerprint(token: Any, position: Any) -> Any:
    """What the slot of a token holds, below 2**24; of whole numbers, or of int64 tensors of one shape.

    Args:
        token: in [0, 2**31).
        position: in [0, `SEQUENCE_TOKENS_MAX`).
    """
    mixed = token * _TOKEN_STEP + position * _POSITION_STEP
    mixed = ((mixed ^ (mixed >> 29)) & _LOW_31_BITS) * _MIX_STEP
    return (mixed >> 24) & _LOW_24_BITS


def weight(position: Any) -> Any:
    """What the slot read for a position counts, odd and below 2**18: two slots that are swapped are seen."""
    return ((((position + 1) * _WEIGHT_STEP) & _LOW_32_BITS) >> 14) | 1


# What a position adds to each fingerprint there, and its weight.
_PLACES: list[tuple[int, int]] = []


def _places(count: int) -> list[tuple[int, int]]:
    """The first `count` positions, or more."""
    _PLACES.extend((place * _POSITION_STEP, weight(place)) for place in range(len(_PLACES), count))
    return _PLACES


def canary_token(total: Any, length: Any) -> Any:
    """The token behind `length` tokens whose weighted fingerprints add up to `total`.

    The length takes part, so that a difference in the sum that is unseen now is seen a token later.
    """
    scrambled = total % _PRIME * ((length * _LENGTH_STEP) % (_PRIME - 1) + 1) % _PRIME
    return scrambled % CANARY_TOKENS + FIRST_CANARY_TOKEN
