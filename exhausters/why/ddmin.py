"""Delta debugging: the smallest part of a list that still has a property, in a bounded number of tries.

The algorithm is ddmin of Zeller and Hildebrandt (2002), without its step to subsets alone: what a workload's
divergence needs is seldom in one half.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TypeVar

_Item = TypeVar("_Item")


def ddmin(items: Sequence[_Item], holds: Callable[[Sequence[_Item]], bool]) -> list[_Item]:
    """Return a part of `items`, in order, for which `holds`, and without any one of which it does not.

    Args:
        items: a list for which `holds` is known to be true.
        holds: tells whether a part still has the property. It is asked again about the same part only if that
            came up in another round; whoever answers slowly remembers.
    """
    kept = list(items)
    pieces = 2
    while len(kept) >= 2:
        pieces = min(pieces, len(kept))
        for first, last in _spans(len(kept), pieces):
            rest = kept[:first] + kept[last:]
            if holds(rest):
                kept = rest
                pieces = max(pieces - 1, 2)
                break
        else:
            if pieces == len(kept):
                break
            pieces *= 2
    return kept


def _spans(length: int, pieces: int) -> list[tuple[int, int]]:
    """Cut `length` items into `pieces` spans of nearly equal length, the last first.

    What comes late matters least for a first divergence.
    """
    edges = [length * number // pieces for number in range(pieces + 1)]
    return list(pairwise(edges))[::-1]
