"""Findings of all cells, those that are the same told once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from exhausters.oracles import PROMISES, Finding
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
    found: dict[tuple[str, str], list[tuple[Finding, RunRecord]]] = {}
    for record in records:
        judgement = record.result.judgement
        for finding in () if judgement is None else judgement.findings:
            found.setdefault((finding.promise, finding.cause), []).append((finding, record))
    groups = [_group(key, every) for key, every in found.items()]
    order = [one.name for one in PROMISES]
    return tuple(sorted(groups, key=lambda one: (order.index(one.promise), -one.count)))


def _group(key: tuple[str, str], every: list[tuple[Finding, RunRecord]]) -> Group:
    finding, record = min(every, key=lambda one: (_requests(one[1]), -one[0].steps, len(one[1].result.log)))
    return Group(
        promise=key[0],
        cause=key[1],
        finding=finding,
        record=record,
        count=len(every),
        cells=tuple(dict.fromkeys(record.cell.id for _, record in every)),
    )


def _requests(record: RunRecord) -> int:
    facts = record.result.facts
    return len(facts.submitted_steps) if facts is not None else 0


def promise_counts(records: Sequence[RunRecord]) -> tuple[PromiseCount, ...]:
    """Return, for each promise, how often it was judged and broken, and why it was not judged."""
    counts = []
    for oracle in PROMISES:
        judged = cells = findings = 0
        reasons: dict[str, int] = {}
        measured: dict[str, None] = {}
        for record in records:
            judgement = record.result.judgement
            if judgement is None:
                reason = f"the run ended as {record.result.outcome}"
                reasons[reason] = reasons.get(reason, 0) + 1
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


def exit_code(records: Sequence[RunRecord]) -> int:
    """Return 1 if anything was found; 2 if a cell failed or nothing was judged; else 0."""
    judgements = [one.result.judgement for one in records]
    if any(one is not None and one.findings for one in judgements):
        return 1
    failed = any(one.result.outcome in (*FAILURES, UNSUPPORTED) for one in records)
    judged = any(one is not None and any(each.judged for each in one.promises) for one in judgements)
    return 2 if failed or not judged or None in judgements else 0
