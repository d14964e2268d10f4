"""The answer to a comparison, from its verdicts and effects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from exhausters.observe.metrics import DECISION, MODELLED, WORK
from exhausters.observe.smallest_effects import COUNTS, CPU_TIME
from reports.detect.answer import Answer, Evidence, ReachOfChange, find_answer
from reports.detect.claims import Decisions, check_claim
from reports.detect.coverage import KindCoverage
from reports.detect.effect import Effect
from reports.detect.measured import EXACT_KINDS
from reports.detect.verdict import open_questions
from reports.explain.divergence import LogDivergence
from reports.vocabulary import CHANGED, DECISION_LOG, OUTCOME, SAME, UNDECIDED

_KINDS = {DECISION: "decisions", MODELLED: "modelled time", WORK: "work"}


def answer_to(
    verdicts: pd.DataFrame,
    effects: Sequence[Effect],
    *,
    first: LogDivergence | None,
    failed_alike: Mapping[str, str],
    kinds: Sequence[KindCoverage],
    obstacles: Sequence[str],
    claim: str,
    reach: ReachOfChange | None,
    accepts_trade_offs: bool,
) -> Answer:
    """Return the answer.

    Args:
        verdicts: rows of verdicts, without cells that a waiver covers.
        effects: one number for each workload and each outcome or cost.
        first: the first divergence of a cell, if decisions differ.
        failed_alike: cells that did not drain, in the same way on both sides, with how they ended.
        kinds: which kinds of metric were judged.
        obstacles: refusals, missing records and expired waivers: why not all could be compared.
        claim, reach, accepts_trade_offs: as in `compare`.
    """
    is_drained = ~verdicts["cell"].isin(failed_alike.keys())
    logs = verdicts.loc[(verdicts["kind"] == DECISION_LOG) & is_drained, "verdict"]
    words = "" if first is None or not first.sentence else f"first in `{first.cell}`: {first.sentence}"
    decisions = Decisions(
        cells=len(logs),
        changed=int((logs == CHANGED).sum()),
        first=words,
        failed_alike=failed_alike,
    )
    broken, undecided = open_questions(verdicts)
    exact = verdicts.loc[verdicts["kind"].isin([*EXACT_KINDS, DECISION_LOG, OUTCOME]), "verdict"]
    return find_answer(
        Evidence(
            effects=effects,
            workloads=list(dict.fromkeys(effect.workload for effect in effects)),
            decisions=decisions,
            is_identical=len(exact) > 0 and bool((exact == SAME).all()),
            kinds=[_KINDS[one.kind] for one in kinds if one.is_judged and one.kind in _KINDS],
            broken=broken,
            undecided=[*obstacles, *undecided, *_undecided_times(effects)],
            claim=check_claim(claim, effects, decisions),
            reach=reach,
            accepts_trade_offs=accepts_trade_offs,
        )
    )


def _undecided_times(effects: Sequence[Effect]) -> list[str]:
    """Workloads whose CPU time was not told from noise, and where no counts stand in for it."""
    counted = {one.workload for one in effects if one.metric in COUNTS}
    return [
        f"{one.metric} of {one.workload} is undecided: {one.rule}"
        for one in effects
        if one.metric == CPU_TIME and one.verdict == UNDECIDED and one.workload not in counted
    ]
