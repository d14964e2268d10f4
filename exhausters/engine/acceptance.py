"""How many draft tokens a null draft gets right: a script that is written down, not drawn at run time.

What is accepted depends on the request's id and on the place in its outputs alone: so equal workloads are
accepted equally in any build, in both event loops, and after a retraction.

A *round* verifies the drafts that stand behind the newest token of a request. It is named by its `place`:
how many outputs of the request stand before that token (0 for the round after the prefill). When d drafts
are right it emits d + 1 tokens.

Standard library only: the parent process reads the text, a worker follows it.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from itertools import accumulate
from typing import Protocol

from exhausters.errors import UsageError

ALL = "all"
#: Of a worker with drafts, when nothing is said.
DEFAULT = ALL
_WANTED = (
    "expected all, constant:N (N drafts of each round), random:SEED,RATE (each draft with this probability) "
    "or trace:N,N,… (drafts of a request's rounds, from the start again after the last)"
)
_DRAWS = 1 << 32


class Acceptance(Protocol):
    """A script of accepted drafts."""

    def right_drafts(self, rid: str, place: int, drafts: int) -> int:
        """Return how many of the `drafts` of a round are right, from the first on: 0 to `drafts`."""


@dataclass(frozen=True, slots=True)
class AllRight:
    """Every draft is right."""

    def right_drafts(self, rid: str, place: int, drafts: int) -> int:
        """All."""
        return drafts


@dataclass(frozen=True, slots=True)
class ConstantRight:
    """The same number in each round.

    Attributes:
        right: that number, >= 0.
    """

    right: int

    def right_drafts(self, rid: str, place: int, drafts: int) -> int:
        """The number, or all where there are fewer."""
        return min(self.right, drafts)


@dataclass(frozen=True, slots=True)
class RandomRight:
    """Each draft is right with one probability, whatever the others are; the first wrong one ends the round.

    Attributes:
        seed: of the draws.
        rate: the probability, 0 to 1.
    """

    seed: int
    rate: float

    def right_drafts(self, rid: str, place: int, drafts: int) -> int:
        """Drafts before the first that is drawn wrong."""
        limit = self.rate * _DRAWS
        for draft in range(drafts):
            # The same in every process, as `hash` is not; a checksum would not look drawn.
            drawn = blake2b(f"{self.seed}/{rid}/{place + 1 + draft}".encode(), digest_size=4).digest()
            if int.from_bytes(drawn, "big") >= limit:
                return draft
        return drafts


@dataclass(frozen=True, slots=True)
class TraceRight:
    """The rounds of each request follow a list, from its start again after its end.

    At a place where no round of the list begins (a prefill after a retraction emits a token, too) the next
    one of the list is taken.

    Attributes:
        rights: right drafts of each round, >= 0.
    """

    rights: tuple[int, ...]

    def right_drafts(self, rid: str, place: int, drafts: int) -> int:
        """Those of the round that begins at this place, or all where there are fewer."""
        starts, total = _starts(self.rights, drafts)
        return min(self.rights[bisect_left(starts, place % total) % len(starts)], drafts)


@lru_cache(maxsize=8)
def _starts(rights: tuple[int, ...], drafts: int) -> tuple[tuple[int, ...], int]:
    """Outputs before each round of a list, and after the last one."""
    ends = tuple(accumulate(min(right, drafts) + 1 for right in rights))
    return (0, *ends[:-1]), ends[-1]


def parse_acceptance(text: str) -> Acceptance:
    """Return the script that a text names.

    Raises:
        UsageError: it names none; says what is expected.
    """
    kind, _, rest = text.partition(":")
    try:
        if kind == ALL and not rest:
            return AllRight()
        if kind == "constant":
            return ConstantRight(_drafts(rest))
        if kind == "random":
            seed, _, rate = rest.partition(",")
            return RandomRight(int(seed), _share(rate))
        if kind == "trace":
            return TraceRight(tuple(map(_drafts, rest.split(","))))
    except ValueError as error:
        raise UsageError(f"speculative_accept={text!r}: {error}; {_WANTED}") from None
    raise UsageError(f"speculative_accept={text!r}: {_WANTED}")


def _drafts(text: str) -> int:
    drafts = int(text)
    if drafts < 0:
        raise ValueError(f"{drafts} drafts")
    return drafts


def _share(text: str) -> float:
    share = float(text)
    if not 0 <= share <= 1:
        raise ValueError(f"a rate of {text}")
    return share
