"""Runs that must agree: cells of one check that differ in something which must not matter.

The oracles judge one run by itself; here two runs of one build are held against each other. Which cells are
compared follows from the cells alone, so any grid that has such pairs is judged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from exhausters.engine.settings import CANARIES
from exhausters.observe.decision_log import DecisionLog, first_divergence
from exhausters.observe.divergence_sentence import divergence_sentence
from exhausters.observe.step_record import StepRecord
from exhausters.oracles.same_text import SameText
from exhausters.sweep.cell import Cell
from exhausters.sweep.record import DRAINED, RunRecord
from exhausters.workloads import parse_spec
from exhausters.workloads.renamed import ARGUMENT as RENAMED

_Pair = tuple[RunRecord, RunRecord]


@dataclass(frozen=True, slots=True, kw_only=True)
class RelationJudged:
    """How one relation between runs was judged.

    Attributes:
        name: of the relation.
        wants: the relation in a sentence.
        compared: pairs of runs that were compared; for texts, runs.
        broken: a sentence for each that breaks it.
        is_anomaly: a broken one is told, and is no finding.
        not_judged: why nothing was compared; empty if something was.
    """

    name: str
    wants: str
    compared: int
    broken: tuple[str, ...]
    is_anomaly: bool = False
    not_judged: str = ""


def judge_relations(records: Sequence[RunRecord]) -> tuple[RelationJudged, ...]:
    """Return every relation, judged over the runs of one build that have a result."""
    judged = [one for one in records if one.result.judgement is not None]
    return (_renamed(judged), _tree_cores(judged), _more_pages(judged), _texts(judged))


def has_finding(relations: Sequence[RelationJudged]) -> bool:
    """Whether a relation is broken that must hold."""
    return any(one.broken and not one.is_anomaly for one in relations)


def _renamed(records: Sequence[RunRecord]) -> RelationJudged:
    pairs = list(_pairs(records, _other_names))
    return RelationJudged(
        name="renamed requests",
        wants="other request ids, the same decisions",
        compared=len(pairs),
        broken=tuple(_differences(pairs, names=True)),
        not_judged="" if pairs else "no two cells that differ in `renamed` alone",
    )


def _tree_cores(records: Sequence[RunRecord]) -> RelationJudged:
    found = list(_pairs(records, _on_python))
    pairs = [pair for pair in found if _core(pair[0]) != _core(pair[1])]
    why = "no two cells that differ in `tree_core` alone"
    if found and not pairs:
        why = f"this build has one tree core: {_core(found[0][0])}"
    return RelationJudged(
        name="tree cores",
        wants="another core of the tree cache, the same decisions",
        compared=len(pairs),
        broken=tuple(_differences(pairs, names=False)),
        not_judged="" if pairs else why,
    )


def _more_pages(records: Sequence[RunRecord]) -> RelationJudged:
    groups: dict[tuple[object, ...], list[RunRecord]] = {}
    for one in records:
        if one.result.outcome == DRAINED:
            others = {name: value for name, value in one.cell.levels.given().items() if name != _PAGES}
            key = (one.cell.workload, one.cell.engine, tuple(others.items()))
            groups.setdefault(key, []).append(one)
    by_pages = [sorted(group, key=lambda each: _pages(each.cell)) for group in groups.values()]
    pairs = [pair for group in by_pages for pair in pairwise(group)]
    broken = [
        f"{fewer.cell.id}: {len(fewer.result.log)} steps, and {len(more.result.log)} with "
        f"{_PAGES}={_shown(_pages(more.cell))}"
        for fewer, more in pairs
        if len(more.result.log) > len(fewer.result.log)
    ]
    return RelationJudged(
        name="more pages",
        wants="with more free pages, never more steps",
        compared=len(pairs),
        broken=tuple(broken),
        is_anomaly=True,
        not_judged="" if pairs else f"no two drained cells that differ in `{_PAGES}` alone",
    )


def _texts(records: Sequence[RunRecord]) -> RelationJudged:
    groups: dict[str, list[RunRecord]] = {}
    for one in records:
        if one.cell.engine.model in CANARIES and not parse_spec(one.cell.workload).arguments.get(RENAMED):
            groups.setdefault(one.cell.workload, []).append(one)
    runs = [one for group in groups.values() if len(group) > 1 for one in group]
    return RelationJudged(
        name="same text everywhere",
        wants="the same text with either loop, any core, page size, chunk size and level, retracted or not",
        compared=len(runs),
        broken=tuple(f"{one.cell.id}: {said}" for one in runs if (said := _wrong_text(one))),
        not_judged="" if runs else "no two cells of one workload whose model is a canary",
    )


def _wrong_text(record: RunRecord) -> str:
    """What a run says against the one text that its workload has; empty for nothing."""
    judgement = record.result.judgement
    found = [] if judgement is None else [one for one in judgement.findings if one.promise == SameText.name]
    return found[0].saw if found else ""


_PAGES = "leave_pages"


def _pages(cell: Cell) -> float:
    level = cell.levels.given().get(_PAGES)
    return float("inf") if level is None else level


def _shown(pages: float) -> str:
    return "all" if pages == float("inf") else f"{pages:.0f}"


def _core(record: RunRecord) -> str:
    return str(record.result.provenance.get("tree_core", "unknown"))


def _on_python(cell: Cell) -> Cell:
    return replace(cell, engine=replace(cell.engine, tree_core="python"))


def _other_names(cell: Cell) -> Cell:
    spec = parse_spec(cell.workload)
    other = replace(spec, arguments={**spec.arguments, RENAMED: True})
    return replace(cell, workload=other.text)


def _pairs(records: Sequence[RunRecord], changed: Callable[[Cell], Cell]) -> Iterator[_Pair]:
    """Yield runs with the run of their changed cell, where it is another cell and there is one."""
    by_id = {one.cell.id: one for one in records}
    for one in records:
        other = by_id.get(changed(one.cell).id)
        if other is not None and other is not one:
            yield one, other


def _differences(pairs: Sequence[_Pair], *, names: bool) -> Iterator[str]:
    for base, other in pairs:
        log = _with_names_of(base, other) if names else other.result.log
        parted = first_divergence(base.result.log, log, context=0)
        if parted is None:
            continue
        ours, theirs = (one[-1] if one else None for one in (parted.base, parted.head))
        said = divergence_sentence(ours, theirs)
        yield f"{base.cell.id} against {other.cell.id}: step {parted.step}: {said}"


def _with_names_of(base: RunRecord, other: RunRecord) -> DecisionLog:
    """The log of the other run, each request by the name that it has in the first."""
    ours, theirs = (parse_spec(one.cell.workload).build() for one in (base, other))
    names = {
        there.rid: here.rid
        for here, there in zip(
            (*ours.warmup_requests, *ours.requests), (*theirs.warmup_requests, *theirs.requests), strict=True
        )
    }
    return DecisionLog(tuple(_named(step, names) for step in other.result.log))


def _named(step: StepRecord, names: dict[str, str]) -> StepRecord:
    return replace(
        step,
        rids=tuple(names[rid] for rid in step.rids),
        retracted_rids=tuple(names[rid] for rid in step.retracted_rids),
        preempted_rids=tuple(names[rid] for rid in step.preempted_rids),
        dropped_rids=tuple(names[rid] for rid in step.dropped_rids),
        chunked_rid=None if step.chunked_rid is None else names[step.chunked_rid],
    )
