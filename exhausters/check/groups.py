"""Findings of all cells, those that are the same told once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from exhausters.check.metamorphic import RelationJudged, has_finding
from exhausters.oracles import PROMISES, Finding, Judgement
from exhausters.sweep.record import FAILURES, UNSUPPORTED, RunRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Findings of one promise and one cause.

    Attributes:
        promise, cause: what they share.
        finding: the example: in the run of the fewest requests, the one that lasted longest.
        record: the run it is of.
        count: findings in all.
        cells: ids of the cells that have one.
    """

    promise: str
    cause: str
    finding: Finding
    record: RunRecord
    count: int
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PromiseCount:
    """How one promise was judged over all cells.

    Attributes:
        promise, wants: the promise.
        judged: how often.
        cells: cells in which it was judged at all.
        findings: broken how often.
        not_judged: reasons why it, or a part of it, was not judged, with the number of cells of each.
        measured: what was measured beside, each value once.
    """

    promise: str
    wants: str
    judged: int
    cells: int
    findings: int
    not_judged: tuple[tuple[str, int], ...]
    measured: tuple[str, ...] = ()


def grouped(records: Sequence[RunRecord]) -> tuple[Group, ...]:
    """Return the findings of all records, in the order of the promises, the most frequent cause first."""
    found = [
        (finding, record)
        for record in records
        if record.result.judgement is not None
        for finding in record.result.judgement.findings
    ]
    return tuple(
        Group(
            promise=one.finding.promise,
            cause=one.finding.cause,
            finding=one.finding,
            record=one.of,
            count=len(one.every),
            cells=tuple(dict.fromkeys(record.cell.id for record in one.every)),
        )
        for one in same_findings(found, size=_size)
    )


_Of = TypeVar("_Of")


@dataclass(frozen=True, slots=True, kw_only=True)
class Same(Generic[_Of]):
    """Findings of one promise and one cause.

    Attributes:
        finding: the example.
        of: what it was found in.
        every: what each of them was found in, in order.
    """

    finding: Finding
    of: _Of
    every: tuple[_Of, ...]


def same_findings(
    found: Iterable[tuple[Finding, _Of]], *, size: Callable[[Finding, _Of], Any]
) -> tuple[Same[_Of], ...]:
    """Return findings of one promise and cause once, in the order of the promises, the most frequent first.

    Args:
        found: each finding with what it was found in.
        size: the smallest one is the example.
    """
    kinds: dict[tuple[str, str], list[tuple[Finding, _Of]]] = {}
    for finding, of in found:
        kinds.setdefault((finding.promise, finding.cause), []).append((finding, of))
    groups = []
    for every in kinds.values():
        finding, of = min(every, key=lambda one: size(*one))
        groups.append(Same(finding=finding, of=of, every=tuple(each for _, each in every)))
    order = {oracle.name: place for place, oracle in enumerate(PROMISES)}
    return tuple(
        sorted(groups, key=lambda one: (order.get(one.finding.promise, len(order)), -len(one.every)))
    )


def _size(finding: Finding, record: RunRecord) -> tuple[int, int, int]:
    return _requests(record), -finding.steps, len(record.result.log)


def _requests(record: RunRecord) -> int:
    facts = record.result.facts
    return len(facts.submitted_steps) if facts is not None else 0


def promise_counts(records: Sequence[RunRecord]) -> tuple[PromiseCount, ...]:
    """Return, for each promise, how often it was judged and broken, and why it was not judged."""
    return count_promises(
        [(one.result.judgement, f"the run ended as {one.result.outcome}") for one in records]
    )


def count_promises(judgements: Sequence[tuple[Judgement | None, str]]) -> tuple[PromiseCount, ...]:
    """Return the same of judgements; where there is none, the text says why."""
    counts = []
    for oracle in PROMISES:
        judged = cells = findings = 0
        reasons: dict[str, int] = {}
        measured: dict[str, None] = {}
        for judgement, why_none in judgements:
            if judgement is None:
                reasons[why_none] = reasons.get(why_none, 0) + 1
                continue
            answer = next(one for one in judgement.promises if one.promise == oracle.name)
            measured.update({answer.measured: None} if answer.measured else {})
            judged, cells = judged + answer.judged, cells + (answer.judged > 0)
            findings += sum(one.promise == oracle.name for one in judgement.findings)
            reason = answer.not_judged or ("" if answer.judged else "nothing to judge came up")
            if reason:
                reason = _without_number(reason)
                reasons[reason] = reasons.get(reason, 0) + 1
        counts.append(
            PromiseCount(
                promise=oracle.name,
                wants=oracle.wants,
                judged=judged,
                cells=cells,
                findings=findings,
                not_judged=tuple(sorted(reasons.items(), key=lambda one: -one[1])),
                measured=tuple(measured),
            )
        )
    return tuple(counts)


def _without_number(reason: str) -> str:
    """A reason without the number of its step, so that equal ones are counted together."""
    head, _, rest = reason.partition("from step ")
    return f"{head}from some step {rest.partition(' ')[2]}" if rest else reason


def exit_code(records: Sequence[RunRecord], relations: Sequence[RelationJudged]) -> int:
    """Return 1 if anything was found; 2 if a cell failed or nothing was judged; else 0."""
    judgements = [one.result.judgement for one in records]
    if has_finding(relations) or any(one is not None and one.findings for one in judgements):
        return 1
    failed = any(one.result.outcome in (*FAILURES, UNSUPPORTED) for one in records)
    judged = any(one is not None and any(each.judged for each in one.promises) for one in judgements)
    return 2 if failed or not judged or None in judgements else 0
