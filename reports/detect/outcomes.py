"""Verdicts on how the runs of a cell ended, and on their decision logs as wholes."""

from __future__ import annotations

import pandas as pd

from exhausters.sweep.record import ABORTED, CRASHED, DRAINED, OUT_OF_MEMORY, STALLED, TIMEOUT
from reports.vocabulary import (
    BETTER,
    BROKEN,
    BROKEN_OUTCOMES,
    CHANGED,
    DECISION_LOG,
    FAILED,
    MISSING,
    OUTCOME,
    SAME,
    SKIPPED,
    UNDECIDED,
    WORSE,
)

# Of several runs of one cell the worst counts.
_WORST_FIRST = (FAILED, CRASHED, TIMEOUT, SKIPPED, OUT_OF_MEMORY, STALLED, ABORTED, DRAINED)


def cell_outcomes(frame: pd.DataFrame) -> pd.DataFrame:
    """Return one row a cell: outcome (the worst of its runs), reason, decision_digest, stable, log_path."""
    columns = ["cell", "outcome", "reason", "decision_digest", "log_path", "provenance"]
    rows = frame.loc[frame["metric"] == OUTCOME, columns].astype(object)
    # The passes of one run that decided differently: what differs between builds then means nothing.
    repeatable = rows["provenance"].map(lambda facts: facts.get("repeatable") is not False)
    all_repeatable = repeatable.groupby(rows["cell"]).all()
    ranks = rows["outcome"].map(_WORST_FIRST.index)
    worst = rows.assign(rank=ranks).sort_values("rank", kind="stable").drop_duplicates("cell")
    digests = rows.groupby("cell")["decision_digest"].nunique()
    outcomes = rows.groupby("cell")["outcome"].nunique()
    stable = worst["cell"].map((digests <= 1) & (outcomes <= 1) & all_repeatable).astype(bool)
    return worst.drop(columns=["rank", "provenance"]).assign(stable=stable).reset_index(drop=True)


def judge_outcome(base: str, head: str) -> tuple[str, str]:
    """Return the verdict on a pair of outcomes and the reason, empty when there is nothing to say."""
    if base in BROKEN_OUTCOMES or head in BROKEN_OUTCOMES:
        return BROKEN, f"{base} in base, {head} in head"
    if SKIPPED in (base, head):
        return UNDECIDED, f"{base} in base, {head} in head: what was skipped is not known to be good"
    if base == head:
        return SAME, "" if base == DRAINED else f"{base} in both"
    if base == DRAINED:
        return WORSE, f"drained in base, {head} in head"
    if head == DRAINED:
        return BETTER, f"{base} in base, drained in head"
    return CHANGED, f"{base} in base, {head} in head"


def detect_outcomes(base: pd.DataFrame, head: pd.DataFrame) -> pd.DataFrame:
    """Return one row a cell of either side.

    Columns: cell, base_outcome, head_outcome, base_log, head_log, same_decisions (None where a log is
    unknown), verdict, reason.
    """
    both = cell_outcomes(base).merge(cell_outcomes(head), on="cell", how="outer", suffixes=("_base", "_head"))
    outcomes = both[["outcome_base", "outcome_head"]].fillna(MISSING)
    judged = [judge_outcome(*pair) for pair in outcomes.itertuples(index=False, name=None)]
    known = both["decision_digest_base"].notna() & both["decision_digest_head"].notna()
    same = (both["decision_digest_base"] == both["decision_digest_head"]).astype(object)
    found = pd.DataFrame(
        {
            "cell": both["cell"].astype(object),
            "base_outcome": outcomes["outcome_base"],
            "head_outcome": outcomes["outcome_head"],
            "base_log": both["log_path_base"],
            "head_log": both["log_path_head"],
            "same_decisions": same.where(known, None),
            "verdict": [verdict for verdict, _ in judged],
            "reason": [
                " ".join(filter(None, (reason, *_own_words(row))))
                for (_, reason), row in zip(judged, both.itertuples(), strict=True)
            ],
        }
    )
    unstable = both["stable_base"].eq(False) | both["stable_head"].eq(False)
    found.loc[unstable, ["verdict", "reason"]] = [BROKEN, "runs or passes of one build decided differently"]
    return found


def _own_words(row: object) -> list[str]:
    """What the runs themselves said about an end that was not a drain."""
    said = ((side, getattr(row, f"reason_{side}")) for side in ("base", "head"))
    return [f"({side}: {reason})" for side, reason in said if isinstance(reason, str) and reason]


def outcome_verdicts(outcomes: pd.DataFrame) -> pd.DataFrame:
    """Return the same as rows of verdicts: one on each cell's outcome, one on its decision log."""
    ends = outcomes.assign(
        metric=OUTCOME, kind=OUTCOME, unit="", better="none", rule="outcomes", required=True
    )
    logs = outcomes[outcomes["same_decisions"].notna()]
    changed = logs["same_decisions"].eq(False)
    digests = logs.assign(
        metric=DECISION_LOG,
        kind=DECISION_LOG,
        unit="",
        better="none",
        verdict=changed.map({True: CHANGED, False: SAME}),
        reason="",
        rule="decision logs: equality",
        required=True,
    )
    columns = ["cell", "metric", "kind", "unit", "better", "verdict", "rule", "reason", "required"]
    return pd.concat([ends[columns], digests[columns]], ignore_index=True)
