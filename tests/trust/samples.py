"""Plants and answers, made by hand."""

from __future__ import annotations

from typing import Any

from benchmarks.trust.answers import Answered
from benchmarks.trust.plants import Plant

_PLANT: dict[str, Any] = {
    "name": "slower",
    "does": "more work",
    "file": "sglang/srt/a.py",
    "code": "x = 1\n",
    "expect": ("worse",),
    "reverse": ("better",),
}


def a_plant(**changes: Any) -> Plant:
    """A plant that is expected to be a loss, and a gain when swapped."""
    return Plant(**_PLANT | changes)


def an_answer(verdict: str = "worse", **changes: Any) -> Answered:
    """An answer, the outcome of which mattered."""
    return Answered(
        **{"verdict": verdict, "sentence": f"{verdict}: it moved", "roles": frozenset({"outcome"})} | changes
    )
