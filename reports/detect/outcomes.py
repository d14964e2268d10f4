"""Verdicts on how the runs of a cell ended, and on their decision logs as wholes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from exhausters.observe.decision_log import DecisionLog
from exhausters.sweep.record import ABORTED, CRASHED, DRAINED, OUT_OF_MEMORY, STALLED, TIMEOUT, UNSUPPORTED
from reports.detect.change import WORDS, Changes, judge_logs
from reports.vocabulary import (
    BETTER,
    BROKEN,
    BROKEN_OUTCOMES,
    CHANGED,
    DECIDED_OUTCOMES,
    DECISION_LOG,
    FAILED,
    MISSING,
    NOT_JUDGED,
    OUTCOME,
    SAME,
    SKIPPED,
    UNDECIDED,
    UNMEASURED_OUTCOMES,
    WORSE,
)

_SIDES = ("base", "head")
# Of a broken cell, beside the two sides.
BOTH = "both"
_EMPTY_LOG = DecisionLog(steps=()).digest
_KEY = ["target", "cell"]
# Of several runs of one cell the worst counts.
# How bad it is for the users of a server when a run ends so: some requests lost, the server gone, nothing
# answered any more, the scheduler itself broken.
_SEVERITY = {DRAINED: 0, ABORTED: 1, OUT_OF_MEMORY: 2, STALLED: 3, TIMEOUT: 4, CRASHED: 4}
_WORST_FIRST = (FAILED, CRASHED, TIMEOUT, UNSUPPORTED, SKIPPED, OUT_OF_MEMORY, STALLED, ABORTED, DRAINED)


def cell_outcomes(frame: pd.DataFrame) -> pd.DataFrame:
    """Return one row per target and cell.

    Columns: target, cell, outcome (the worst of its runs), reason, decision_digest, log_path, stable (all
    runs, and all passes of each run, decided alike).
    """
    columns = [*_KEY, "outcome", "reason", "decision_digest", "log_path", "provenance"]
    rows = frame.loc[frame["metric"] == OUTCOME, columns].astype(object)
    rows = rows.assign(
        rank=rows["outcome"].map(_WORST_FIRST.index),
        # The passes of one run that decided differently: what differs between builds then means nothing.
        repeatable=rows["provenance"].map(lambda facts: facts.get("repeatable") is not False),
    )
    runs = rows.groupby(_KEY, sort=False)
    stable = (runs["decision_digest"].transform("nunique") <= 1) & (runs["outcome"].transform("nunique") <= 1)
    rows = rows.assign(stable=stable & runs["repeatable"].transform("all").astype(bool))
    worst = rows.sort_values("rank", kind="stable").drop_duplicates(_KEY)
    return worst.drop(columns=["rank", "provenance", "repeatable"]).reset_index(drop=True)


def judge_decision_logs(frame: pd.DataFrame, builds: Sequence[str], cells: Sequence[str]) -> Changes:
    """Return which decision logs changed from build to build; arrays are builds x cells.

    Args:
        frame: a tidy frame (see `reports.load.frame`).
        builds: targets, oldest first.
        cells: ids.
    """
    runs = cell_outcomes(frame)
    places = (
        pd.Index(list(builds)).get_indexer(pd.Index(runs["target"])),
        pd.Index(list(cells)).get_indexer(pd.Index(runs["cell"])),
    )
    is_used = (places[0] >= 0) & (places[1] >= 0)
    place = tuple(axis[is_used] for axis in places)
    digests = np.full((len(builds), len(cells)), None, dtype=object)
    unstable = np.zeros(digests.shape, dtype=bool)
    digests[place] = _judged_digests(runs["outcome"], runs["decision_digest"])[is_used]
    unstable[place] = ~runs["stable"].to_numpy(dtype=bool)[is_used]
    return judge_logs(digests, unstable)


def _judged_digests(outcomes: pd.Series, digests: pd.Series) -> NDArray[np.object_]:
    """The digests of runs that the scheduler itself ended; None for others."""
    # A log without a step is no evidence: two of them are not the same decisions.
    is_judged = outcomes.isin(DECIDED_OUTCOMES) & digests.notna() & (digests != _EMPTY_LOG)
    judged: NDArray[np.object_] = digests.to_numpy(dtype=object, copy=True)
    judged[~is_judged.to_numpy(dtype=bool)] = None
    return judged


def judge_outcome(base: str, head: str) -> tuple[str, str]:
    """Return the verdict on a pair of outcomes, and the reason; empty for two drained runs."""
    if not {base, head} <= set(_SEVERITY) | UNMEASURED_OUTCOMES or (base == head and base in BROKEN_OUTCOMES):
        return BROKEN, f"{base} in base, {head} in head"
    lacking = [side for side, outcome in (("base", base), ("head", head)) if outcome == UNSUPPORTED]
    if lacking:
        verb = "has" if len(lacking) == 1 else "have"
        return UNDECIDED, f"{' and '.join(lacking)} {verb} no such switch, or refused its value"
    if SKIPPED in (base, head):
        return UNDECIDED, f"{base} in base, {head} in head: a skipped cell is not known to be good"
    if base == head:
        return SAME, "" if base == DRAINED else f"{base} in both"
    rise = _SEVERITY[head] - _SEVERITY[base]
    verdict = WORSE if rise > 0 else BETTER if rise < 0 else CHANGED
    return verdict, f"{base} in base, {head} in head"


def detect_outcomes(base: pd.DataFrame, head: pd.DataFrame) -> pd.DataFrame:
    """Return one row per cell of either side.

    Columns: cell, base_outcome, head_outcome, base_log, head_log, log_verdict (`same`, `changed`, `broken`
    where one side decided differently from run to run, or `not judged` where a side has no log to judge),
    verdict, reason, broken_in (of a broken cell the side that has no outcome to compare, or decided
    differently from run to run: `base`, `head` or `both`; else empty).
    """
    sides = [cell_outcomes(frame).drop(columns="target") for frame in (base, head)]
    both = sides[0].merge(sides[1], on="cell", how="outer", suffixes=("_base", "_head"))
    outcomes = both[["outcome_base", "outcome_head"]].fillna(MISSING)
    judged = [judge_outcome(*pair) for pair in outcomes.itertuples(index=False, name=None)]
    logs = judge_logs(
        np.stack(
            [_judged_digests(outcomes[f"outcome_{side}"], both[f"decision_digest_{side}"]) for side in _SIDES]
        ),
        np.stack([both[f"stable_{side}"].eq(False).to_numpy(dtype=bool) for side in _SIDES]),
    )
    found = pd.DataFrame(
        {
            "cell": both["cell"].astype(object),
            "base_outcome": outcomes["outcome_base"],
            "head_outcome": outcomes["outcome_head"],
            "base_log": both["log_path_base"],
            "head_log": both["log_path_head"],
            "log_verdict": WORDS[logs.codes[1]],
            "verdict": [verdict for verdict, _ in judged],
            "reason": [
                " ".join(filter(None, (reason, *_reasons_of_runs(row))))
                for (_, reason), row in zip(judged, both.itertuples(), strict=True)
            ],
        }
    )
    # Where nothing ran on one side, something other than the scheduler failed: that is no verdict on it.
    for side in _SIDES:
        if found[f"{side}_outcome"].isin(BROKEN_OUTCOMES).all():
            found["verdict"] = BROKEN
    unstable = [both[f"stable_{side}"].eq(False) for side in _SIDES]
    for mask, name in zip((*unstable, unstable[0] & unstable[1]), (*_SIDES, "either build"), strict=True):
        found.loc[mask, ["verdict", "reason"]] = [BROKEN, f"runs or passes of {name} decided differently"]
    return found.assign(broken_in=_broken_in(found, unstable))


def _broken_in(found: pd.DataFrame, unstable: Sequence[pd.Series]) -> NDArray[np.object_]:
    base, head = (
        found[f"{side}_outcome"].isin(BROKEN_OUTCOMES).to_numpy(dtype=bool) | is_unstable.to_numpy(dtype=bool)
        for side, is_unstable in zip(_SIDES, unstable, strict=True)
    )
    names = np.select([base & head, base, head], [BOTH, *_SIDES], default="").astype(object)
    return np.where(found["verdict"].eq(BROKEN).to_numpy(dtype=bool), names, "")


def _reasons_of_runs(row: object) -> list[str]:
    """The reasons that the runs themselves gave for not draining."""
    reasons = [(side, getattr(row, f"reason_{side}")) for side in _SIDES]
    if reasons[0][1] == reasons[1][1]:
        reasons = [("both", reasons[0][1])]
    return [f"({side}: {reason})" for side, reason in reasons if isinstance(reason, str) and reason]


def failed_alike(outcomes: pd.DataFrame) -> dict[str, str]:
    """Return the cells that ended in the same way on both sides, and not by draining, with how they ended."""
    alike = outcomes[(outcomes["verdict"] == SAME) & (outcomes["base_outcome"] != DRAINED)]
    return dict(zip(alike["cell"].astype(str), alike["base_outcome"].astype(str), strict=True))


def outcome_verdicts(outcomes: pd.DataFrame) -> pd.DataFrame:
    """Return rows of verdicts: one on each cell's outcome, one on its decision log where it was judged."""
    ends = outcomes.assign(
        metric=OUTCOME, kind=OUTCOME, unit="", better="none", rule="outcomes", required=True
    )
    logs = outcomes[outcomes["log_verdict"] != NOT_JUDGED]
    digests = logs.assign(
        metric=DECISION_LOG,
        kind=DECISION_LOG,
        unit="",
        better="none",
        verdict=logs["log_verdict"],
        reason="",
        rule="decision logs: equality",
        required=True,
    )
    columns = ["cell", "metric", "kind", "unit", "better", "verdict", "rule", "reason", "required"]
    return pd.concat([ends[columns], digests[columns]], ignore_index=True)
