"""Whether a trace is the golden one, and the first step in which it is not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from exhausters.errors import GoldenTraceError
from exhausters.golden.trace_file import COMPARED, REQUIRED, GoldenTrace

_OF_REQUESTS = ("submitted", "requests", "retracted")
_EMPTY: tuple[Any, ...] = (0, [], None)
_SHOWN_REQUESTS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The first step in which a trace is not the golden one.

    Attributes:
        step: its number.
        fields: what differs in it, a clause each: golden → other.
    """

    step: int
    fields: tuple[str, ...]

    def __str__(self) -> str:
        return f"step {self.step}: {'; '.join(self.fields)}"


def first_difference(golden: GoldenTrace, other: GoldenTrace) -> Difference | None:
    """Return the first step that differs; None where all that the other trace has is as in the golden one.

    A field that the other's header lists in `left_out` is not compared; all others are, and one that is
    missing from a line has the value 0, or none.

    Raises:
        GoldenTraceError: the other trace is of another workload, or leaves out what every trace must have.
    """
    ours, theirs = (one.workload_digest for one in (golden, other))
    if ours != theirs:
        raise GoldenTraceError(
            f"{other.path}: its workload has digest {theirs[:16]}, that of {golden.path} {ours[:16]}: "
            "expected a trace of the same workload"
        )
    left_out = set(other.header.get("left_out", ()))
    if left_out & set(REQUIRED):
        raise GoldenTraceError(f"{other.path}: left_out: every trace must have {', '.join(REQUIRED)}")
    names = [name for name in COMPARED if name not in left_out]
    for number, (base, head) in enumerate(zip(golden.steps, other.steps, strict=False)):
        clauses = tuple(_clauses(base, head, names, golden.rids))
        if clauses:
            return Difference(step=number, fields=clauses)
    if len(golden.steps) != len(other.steps):
        shorter = min(len(golden.steps), len(other.steps))
        text = f"steps {len(golden.steps)} → {len(other.steps)}"
        return Difference(step=shorter, fields=(text,))
    return None


def _clauses(
    base: Mapping[str, Any], head: Mapping[str, Any], names: list[str], rids: list[str]
) -> list[str]:
    found = []
    for name in names:
        ours, theirs = base.get(name), head.get(name)
        # What is left out of a line is 0, empty or null.
        if ours != theirs and not (ours in _EMPTY and theirs in _EMPTY):
            found.append(f"{name} {_shown(name, ours, rids)} → {_shown(name, theirs, rids)}")
    return found


def _shown(name: str, value: Any, rids: list[str]) -> str:
    if value is None:
        return "none"
    if name in _OF_REQUESTS and isinstance(value, list):
        known = [rids[one] if isinstance(one, int) and 0 <= one < len(rids) else str(one) for one in value]
        more = f" and {len(known) - _SHOWN_REQUESTS} more" if len(known) > _SHOWN_REQUESTS else ""
        return f"[{', '.join(known[:_SHOWN_REQUESTS])}{more}]"
    if name == "chunked" and isinstance(value, int) and 0 <= value < len(rids):
        return rids[value]
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
