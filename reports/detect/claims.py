"""What the author says a change is meant to be, and whether that holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from exhausters.observe.smallest_effects import COST, COUNTS, OUTCOME_ROLE
from reports.detect.effect import Effect
from reports.vocabulary import ANY, BETTER, POLICY, REFACTOR, UNDECIDED, WORSE


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimResult:
    """Whether a claim holds.

    Attributes:
        claim: one of `CLAIMS`.
        holds: None where too little was measured to say.
        reason: why it does not hold, or why that is not known; empty where it holds.
    """

    claim: str
    holds: bool | None
    reason: str = ""

    @property
    def text(self) -> str:
        """One clause; empty for the claim `any`, which promises nothing."""
        if self.claim == ANY:
            return ""
        words = {True: "holds", False: "does not hold", None: "could not be checked"}[self.holds]
        return f"claim {self.claim} {words}{f': {self.reason}' if self.reason else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decisions:
    """The decision logs of both builds.

    Attributes:
        cells: cells whose logs were compared, and that drained.
        changed: those of them whose logs differ.
        first: the first divergence in words, with its cell; empty where none is known.
        failed_alike: cells that did not drain, in the same way on both sides, with how they ended.
    """

    cells: int
    changed: int
    first: str = ""
    failed_alike: Mapping[str, str] = field(default_factory=dict)

    @property
    def failed_words(self) -> str:
        """One clause on the cells that fail alike; empty without one."""
        if not self.failed_alike:
            return ""
        (cell, end), *more = self.failed_alike.items()
        if more:
            return f"{len(self.failed_alike)} more cells did not drain on either side"
        return f"`{cell}` {end} on both sides"


def check_claim(claim: str, effects: Sequence[Effect], decisions: Decisions) -> ClaimResult:
    """Return whether a claim holds.

    `refactor`: the same decisions, and no cost that matters. `faster`: the same decisions, a cost that is
    better and none that is worse. `policy`: no outcome that is worse.
    """
    if claim == ANY:
        return ClaimResult(claim=claim, holds=True)
    if claim == POLICY:
        return _policy(effects)
    if decisions.changed:
        where = f"decisions differ in {decisions.changed} of {decisions.cells} cells"
        return ClaimResult(
            claim=claim, holds=False, reason=f"{where}; {decisions.first}" if decisions.first else where
        )
    costs = [one for one in effects if one.role == COST and one.verdict != UNDECIDED]
    worse = _named(costs, WORSE)
    if worse:
        return ClaimResult(claim=claim, holds=False, reason=f"{worse} is worse")
    if not decisions.cells:
        return ClaimResult(claim=claim, holds=None, reason="no decision logs were compared")
    if not costs or (claim == REFACTOR and not any(one.metric in COUNTS for one in costs)):
        return ClaimResult(claim=claim, holds=None, reason="no cost was measured on both sides")
    if claim == REFACTOR:
        better = _named(costs, BETTER)
        reason = f"{better} is better: claim faster instead" if better else ""
        return ClaimResult(claim=claim, holds=not better, reason=reason)
    if not _named(costs, BETTER):
        return ClaimResult(claim=claim, holds=False, reason="no cost is better by its smallest effect")
    return ClaimResult(claim=claim, holds=True)


def _policy(effects: Sequence[Effect]) -> ClaimResult:
    outcomes = [one for one in effects if one.role == OUTCOME_ROLE]
    worse = _named(outcomes, WORSE)
    if worse:
        return ClaimResult(claim=POLICY, holds=False, reason=f"{worse} is worse")
    if not outcomes:
        return ClaimResult(claim=POLICY, holds=None, reason="no outcome was measured on both sides")
    better = _named(outcomes, BETTER)
    return ClaimResult(claim=POLICY, holds=True, reason="" if better else "but no outcome is better")


def _named(effects: Sequence[Effect], verdict: str) -> str:
    found = (f"{one.metric} {one.settings}".strip() for one in effects if one.verdict == verdict)
    return ", ".join(dict.fromkeys(found))
