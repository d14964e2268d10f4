"""The gate's one answer: what mattered, in one sentence, with its exit code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from exhausters.observe.smallest_effects import COST, COUNTS, CPU_TIME
from reports.detect.claims import ClaimResult, Decisions
from reports.detect.effect import Effect
from reports.detect.effect_words import Movement, families, metric_words, movements, named
from reports.detect.paired_tests import NOT_KNOWN_TO_MATTER
from reports.vocabulary import (
    BETTER,
    BROKEN,
    CHANGED,
    IDENTICAL,
    NEUTRAL,
    OUTCOME,
    TRADE_OFF,
    UNDECIDED,
    UNREACHED,
    WORSE,
)

NOTHING_WORSE, SOMETHING_WORSE, NOT_DECIDED = 0, 1, 2


class ReachOfChange(Protocol):
    """How much of a change was executed (see `exhausters.reach.reached.Reach`); its text is shown."""

    @property
    def is_nothing_reached(self) -> bool:
        """Whether there is a change, and no run executed a line of it."""
        ...

    @property
    def changed(self) -> int:
        """Changed lines."""
        ...

    @property
    def missing(self) -> int:
        """Changed lines that nothing executed."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What an answer is made of.

    Attributes:
        effects: one number for each workload and each outcome or cost.
        workloads: those that were compared.
        decisions: how many decision logs differ.
        is_identical: all logs, exact metrics and counts are equal.
        kinds: kinds of metric that were judged, as text.
        broken, undecided: reasons why something could not be compared.
        claim: whether the author's claim holds.
        reach: how much of the change was executed, if that was measured.
        accepts_trade_offs: from the configuration.
    """

    effects: Sequence[Effect]
    workloads: Sequence[str]
    decisions: Decisions
    is_identical: bool
    kinds: Sequence[str]
    broken: Sequence[str]
    undecided: Sequence[str]
    claim: ClaimResult
    reach: ReachOfChange | None = None
    accepts_trade_offs: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The gate's answer.

    Attributes:
        verdict: one word of `ANSWERS`.
        exit_code: 0 nothing is worse, 1 worse, a trade-off or a claim that does not hold, 2 could not decide
            or broken.
        sentence: all of it, in one sentence.
        reasons: one sentence for each thing that keeps it from passing; empty for a pass.
        won, lost: what mattered, the most important first.
        cost: one clause on the cost, where none mattered.
        claim: whether the author's claim holds.
        reach: how much of the change was executed, as text; empty where that was not measured.
    """

    verdict: str
    exit_code: int
    sentence: str
    reasons: tuple[str, ...]
    won: tuple[Movement, ...]
    lost: tuple[Movement, ...]
    cost: str
    claim: ClaimResult
    reach: str


def reasons_beside_sentence(answer: Answer) -> list[str]:
    """Return the reasons that the answer's sentence does not tell already."""
    told = {_loss(one) for one in named(answer.lost)}
    return [one for one in answer.reasons if one not in told and one not in answer.sentence]


def _loss(one: Movement) -> str:
    return f"{one.text}: worse"


def find_answer(evidence: Evidence) -> Answer:
    """Return the answer."""
    won, lost = (movements(evidence.effects, word, evidence.workloads) for word in (BETTER, WORSE))
    verdict = _verdict(evidence, won, lost)
    cost = cost_clause(evidence.effects)
    passes = (IDENTICAL, NEUTRAL, BETTER, *((TRADE_OFF,) if evidence.accepts_trade_offs else ()))
    fails = verdict in (WORSE, TRADE_OFF) or evidence.claim.holds is False
    open_questions = [*evidence.broken, *evidence.undecided, *_unreached(evidence, verdict)]
    code = (
        NOTHING_WORSE
        if verdict in passes
        else SOMETHING_WORSE
        if verdict in (WORSE, TRADE_OFF)
        else NOT_DECIDED
    )
    if evidence.claim.holds is False:
        code = SOMETHING_WORSE
    elif code == NOTHING_WORSE and (open_questions or evidence.claim.holds is None):
        code = NOT_DECIDED
    reasons = [_loss(one) for one in lost] if fails and code == SOMETHING_WORSE else []
    claim = [evidence.claim.text] if evidence.claim.holds is not True else []
    return Answer(
        verdict=verdict,
        exit_code=code,
        sentence=_sentence(verdict, evidence, won, lost, cost),
        reasons=(*claim, *reasons, *open_questions),
        won=won,
        lost=lost,
        cost=cost,
        claim=evidence.claim,
        reach="" if evidence.reach is None else str(evidence.reach),
    )


def _verdict(evidence: Evidence, won: Sequence[Movement], lost: Sequence[Movement]) -> str:
    if lost:
        return TRADE_OFF if won else WORSE
    if evidence.broken:
        return BROKEN
    if evidence.undecided or evidence.claim.holds is None:
        return UNDECIDED
    is_reached = evidence.reach is None or not evidence.reach.is_nothing_reached
    if not is_reached and not evidence.decisions.changed:
        return UNREACHED
    return BETTER if won else IDENTICAL if evidence.is_identical else NEUTRAL


def _unreached(evidence: Evidence, verdict: str) -> list[str]:
    if verdict != UNREACHED:
        return []
    return [f"no cell executed what changed ({evidence.reach}): equal decisions say nothing about it"]


def _sentence(
    verdict: str, evidence: Evidence, won: Sequence[Movement], lost: Sequence[Movement], cost: str
) -> str:
    # An answer about nothing that was executed confirms no claim.
    parts = [] if verdict == UNREACHED else [evidence.claim.text]
    body = _body(verdict, evidence, won, lost)
    moved_cost = any(one.role == COST for one in (*won, *lost))
    if verdict in (BETTER, WORSE, TRADE_OFF, NEUTRAL) and not moved_cost:
        body = f"{body}; {cost}"
    if moved_cost and all(one.role == COST for one in (*won, *lost)):
        body = f"{body}; no outcome mattered, {_decisions(evidence.decisions)}"
    if verdict in (WORSE, TRADE_OFF) and (evidence.broken or evidence.undecided):
        body = f"{body}; besides, {(*evidence.broken, *evidence.undecided)[0]}"
    parts.append(f"{verdict}: {body}")
    return "; ".join(filter(None, parts))


def _body(verdict: str, evidence: Evidence, won: Sequence[Movement], lost: Sequence[Movement]) -> str:
    if verdict == TRADE_OFF:
        return f"won {_listed(won)}; lost {_listed(lost)}"
    if verdict in (BETTER, WORSE):
        return _listed(won or lost)
    if verdict == IDENTICAL:
        equal = " and ".join(filter(None, (", ".join(evidence.kinds[:-1]), *evidence.kinds[-1:])))
        return f"{equal} are equal in {_all_cells(evidence.decisions)}{_not_executed(evidence)}"
    if verdict == NEUTRAL:
        return f"{_decisions(evidence.decisions)}, {_largest(evidence.effects)}{_not_executed(evidence)}"
    if verdict == UNREACHED:
        return _unreached(evidence, verdict)[0]
    problems = [*evidence.broken, *evidence.undecided]
    if not problems:
        return evidence.claim.reason
    more = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
    return f"{problems[0]}{more}"


def _listed(found: Sequence[Movement]) -> str:
    first = named(found)
    rest = len(families(found)) - len(first)
    more = f" and {rest} more" if rest else ""
    places = {one.place for one in first}
    if len(first) == 1 or len(places) > 1 or any(one.metric == OUTCOME for one in first):
        return ", ".join(one.text for one in first) + more
    # A clause is said once where it is the same for all.
    unders = {one.under for one in first}
    clause = unders.pop() if len(unders) == 1 else ""
    texts = ", ".join(
        " ".join(filter(None, (metric_words(one.metric), one.change, "" if clause else one.under)))
        for one in first
    )
    return " ".join(filter(None, (f"{texts}{more}", clause, places.pop())))


def _decisions(decisions: Decisions) -> str:
    if not decisions.cells:
        return "no decision logs were compared"
    if decisions.changed:
        return f"decisions differ in {decisions.changed} of {decisions.cells} cells"
    return f"the same decisions in {_all_cells(decisions)}"


def _all_cells(decisions: Decisions) -> str:
    failed = decisions.failed_words
    return f"all {decisions.cells} cells{f' that drained ({failed})' if failed else ''}"


def _not_executed(evidence: Evidence) -> str:
    """What equality says nothing about, for answers that would let a reader stop there."""
    if evidence.reach is None or not evidence.reach.missing:
        return ""
    return f"; {evidence.reach.missing:,} of {evidence.reach.changed:,} changed lines were not executed"


def _largest(effects: Sequence[Effect]) -> str:
    """The outcome that came closest to mattering."""
    found = [one for one in effects if one.role != COST and one.verdict == NEUTRAL and one.change is not None]
    if not found:
        return "no outcome moved"
    top = max(found, key=lambda one: one.closeness)
    assert top.change is not None
    return f"nothing that matters: at most {metric_words(top.metric)} {top.change.text} ({top.workload})"


def _undecided_cost(time: Effect, costs: Sequence[Effect]) -> str:
    """Counts stand in where time could not tell; what they say comes first."""
    assert time.change is not None
    is_there = time.doubt == NOT_KNOWN_TO_MATTER
    told = f"CPU time per step {time.change.text}, " + (
        f"not known to reach {100 * time.threshold:g} %" if is_there else "which is not told from noise"
    )
    counts = [one for one in costs if one.metric in COUNTS and one.change is not None]
    if not counts:
        return f"cost undecided ({told})"
    top = max(counts, key=lambda one: one.closeness)
    assert top.change is not None
    moved = f"{metric_words(top.metric)} {top.change.text}" if top.change.size else "calls equal"
    return f"cost unchanged by counts ({moved}; {told})"


def cost_clause(effects: Sequence[Effect]) -> str:
    """Return what the cost did, empty where it mattered: paired CPU time, else the count that moved most."""
    costs = [one for one in effects if one.role == COST]
    timed = [one for one in costs if one.metric == CPU_TIME and one.change is not None]
    known = timed or [one for one in costs if one.metric in COUNTS and one.change is not None]
    if not known:
        return "cost was not measured"
    top = max(known, key=lambda one: one.closeness)
    assert top.change is not None
    words, threshold = metric_words(top.metric), f"{100 * top.threshold:g} %"
    if top.verdict in (BETTER, WORSE):
        return ""
    if top.verdict == UNDECIDED:
        return _undecided_cost(top, costs)
    if top.verdict == CHANGED:
        return f"cost judged by CPU time ({words} {top.change.text})"
    if top.change.size == 0:
        return f"cost unchanged ({words} equal)"
    if abs(top.change.size) >= top.threshold:
        return f"cost follows the number of steps ({words} {top.change.text}, not per step)"
    return f"cost unchanged ({words} {top.change.text}, below {threshold})"
