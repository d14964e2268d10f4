"""Verdicts on host time, from interleaved pairs (the format is in docs/verdicts.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from exhausters.observe.metrics import HOST
from exhausters.sweep.record import DRAINED
from reports.detect.measured import Floats, signs
from reports.detect.multiple_testing import adjust, pairs_needed
from reports.detect.paired_tests import PairedEstimates, estimate, judge_estimates, open_words
from reports.detect.thresholds import FDR_LEVEL, MIN_ORDER_SHARE, MIN_PAIRS
from reports.vocabulary import UNDECIDED

_KEY = ["cell", "metric"]
_TEXTS = ("cell", "metric", "unit", "better")
_RULE = f"pairs: FDR < {FDR_LEVEL:g}, interval without 1, smallest effect"


def pair_up(base: pd.DataFrame, head: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each cell, host-time metric and round that both sides finished.

    Pairs are formed within one session and round. A round whose run did not drain, or has no positive
    value, gives no pair. Rounds that shared their two processes are one pair, the median of them: two
    processes of one build can differ in all of theirs, so that more of them say nothing more.
    Columns: session, cell, metric, unit, better, smallest_effect, round, boot, order, base, head, log_ratio,
    rounds (how many the row stands for) and head_first (in how many of them head ran first).
    """
    both = _host_rows(base).merge(
        _host_rows(head)[["session", "round", *_KEY, "value"]],
        on=["session", "round", *_KEY],
        suffixes=("_base", "_head"),
    )
    both = both.rename(columns={"value_base": "base", "value_head": "head"})
    both = both[(both["base"] > 0) & (both["head"] > 0)].reset_index(drop=True)
    return _one_per_boot(with_orders(both.assign(log_ratio=np.log(both["head"] / both["base"]))))


def with_orders(pairs: pd.DataFrame) -> pd.DataFrame:
    """Add the columns `rounds` and `head_first` to rows that stand for one round each."""
    return pairs.assign(rounds=1, head_first=(pairs["order"] == "BA").astype(np.int64))


def _one_per_boot(pairs: pd.DataFrame) -> pd.DataFrame:
    """Rounds of one pair of processes as one row; where it is not known, each has its own."""
    processes = ["session", "boot", *_KEY]
    shared = pairs["boot"].notna() & pairs.duplicated(processes, keep=False)
    if not shared.any():
        return pairs
    whole = pairs[shared].groupby(processes, sort=False)
    middle = whole[["base", "head", "log_ratio"]].median().join(whole[["rounds", "head_first"]].sum())
    first = whole.first().drop(columns=middle.columns).join(middle).reset_index()
    return pd.concat([pairs[~shared], first[pairs.columns]], ignore_index=True)


def every_pair(sides: Sequence[tuple[pd.DataFrame, pd.DataFrame]]) -> pd.DataFrame:
    """Return the pairs of several (base, head), each once: a folder can be given as sides and as pairs."""
    pairs = pd.concat([pair_up(base, head) for base, head in sides], ignore_index=True)
    folder = pairs["session"].map(lambda name: str(Path(str(name)).resolve()))
    is_again = pairs.assign(session=folder).duplicated(["session", "round", *_KEY])
    return pairs[~is_again].reset_index(drop=True)


def _host_rows(frame: pd.DataFrame) -> pd.DataFrame:
    rows = frame[(frame["kind"] == HOST) & frame["round"].notna() & (frame["outcome"] == DRAINED)]
    columns = ["session", "round", "boot", *_TEXTS, "smallest_effect", "order", "value"]
    return rows[columns].astype({"session": object, "order": object, **dict.fromkeys(_TEXTS, object)})


def detect_paired(pairs: pd.DataFrame, *, smallest_effect: Mapping[str, float] | None = None) -> pd.DataFrame:
    """Return one row for each cell and host-time metric that has pairs; one family of tests.

    Args:
        pairs: what `pair_up` returned.
        smallest_effect: relative changes by metric, from the configuration.

    Columns: those of `detect_exact`, and ratio, ci_low, ci_high, p, p_adjusted, pairs.
    """
    grouped = pairs.groupby(_KEY, sort=False)
    found = grouped.agg(
        unit=("unit", "first"),
        better=("better", "first"),
        smallest_effect=("smallest_effect", "first"),
        base=("base", "median"),
        head=("head", "median"),
        pairs=("log_ratio", "size"),
        head_first=("head_first", "sum"),
        rounds=("rounds", "sum"),
    ).reset_index()
    found = found.assign(kind=HOST, required=False, rule=_RULE, reason="")
    estimates = _estimate_groups(
        pairs, np.asarray(grouped.ngroup(), dtype=np.int64), np.asarray(found["pairs"], dtype=np.int64)
    )
    enough = _balanced(found) & (found["pairs"] >= MIN_PAIRS).to_numpy()
    p = np.where(enough, estimates.p, np.nan)
    judged = _with_verdicts(found, estimates, p, smallest_effect or {}, enough)
    return judged.drop(columns="smallest_effect")


def _balanced(found: pd.DataFrame) -> NDArray[np.bool_]:
    share = found["head_first"].to_numpy(dtype=np.float64) / found["rounds"].to_numpy(dtype=np.float64)
    balanced: NDArray[np.bool_] = np.minimum(share, 1 - share) >= MIN_ORDER_SHARE
    return balanced


def _estimate_groups(
    pairs: pd.DataFrame, group: NDArray[np.int64], sizes: NDArray[np.int64]
) -> PairedEstimates:
    """Estimate all groups; those with the same number of pairs together."""
    order = np.argsort(group, kind="stable")
    values = pairs["log_ratio"].to_numpy(dtype=np.float64)[order]
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(int) if len(sizes) else np.array([], int)
    parts = {name: np.full(len(sizes), np.nan) for name in ("log_ratio", "ci_low", "ci_high", "p")}
    for size in np.unique(sizes):
        chosen = np.flatnonzero(sizes == size)
        matrix = values[starts[chosen][:, None] + np.arange(int(size))]
        part = estimate(matrix)
        for name, column in parts.items():
            column[chosen] = getattr(part, name)
    return PairedEstimates(**parts)


def _with_verdicts(
    found: pd.DataFrame,
    estimates: PairedEstimates,
    p: Floats,
    smallest_effect: Mapping[str, float],
    enough: NDArray[np.bool_],
) -> pd.DataFrame:
    p_adjusted = adjust(p)
    given = found["metric"].map(lambda name: smallest_effect.get(name, np.nan)).to_numpy(dtype=np.float64)
    effect = np.where(np.isnan(given), found["smallest_effect"].to_numpy(dtype=np.float64), given)
    verdicts = judge_estimates(estimates, p_adjusted, signs(found["better"]), np.log1p(effect))
    verdicts[~enough] = UNDECIDED
    few = (found["pairs"] < MIN_PAIRS).to_numpy()
    needed = pairs_needed(int(enough.sum()))
    more = f" ({needed} pairs could find a single change)"
    reasons = np.where(verdicts == UNDECIDED, open_words(estimates, p_adjusted) + more, "")
    reasons = np.where(
        ~enough, f"orders are not balanced: the rarer needs {MIN_ORDER_SHARE:.0%} of the pairs", reasons
    )
    reasons = np.where(few, list(map(_too_few, found["pairs"], found["rounds"])), reasons)
    return found.assign(
        verdict=verdicts,
        reason=reasons,
        ratio=np.exp(estimates.log_ratio),
        ci_low=np.exp(estimates.ci_low),
        ci_high=np.exp(estimates.ci_high),
        p=p,
        p_adjusted=p_adjusted,
        smallest_effect=effect,
    ).drop(columns=["head_first", "rounds"])


def _too_few(pairs: int, rounds: int) -> str:
    if rounds > pairs:
        return f"{rounds} rounds shared {pairs} pairs of processes, {MIN_PAIRS} needed"
    return f"{pairs} pairs, {MIN_PAIRS} needed"


def unpaired(base: pd.DataFrame, head: pd.DataFrame, kinds: tuple[str, ...]) -> pd.DataFrame:
    """Return undecided rows for metrics that a single run cannot decide: they are shown, and never worse."""
    sides = [
        frame[frame["kind"].isin(kinds) & frame["round"].isna()]
        .astype({**dict.fromkeys(_TEXTS, object), "kind": object})
        .groupby(_KEY, sort=False)
        .agg(
            unit=("unit", "first"),
            better=("better", "first"),
            kind=("kind", "first"),
            value=("value", "median"),
        )
        .reset_index()
        for frame in (base, head)
    ]
    both = sides[0].merge(sides[1][[*_KEY, "value"]], on=_KEY, suffixes=("_base", "_head"))
    both = both.rename(columns={"value_base": "base", "value_head": "head"})
    reason = np.where(both["kind"] == HOST, "one run each: host time needs pairs", "not in the registry")
    return both.assign(verdict=UNDECIDED, rule="never judged from single runs", reason=reason, required=False)
