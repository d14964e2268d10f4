"""The statistics of paired host time, on plain arrays: one row per test, one column per pair."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom, wilcoxon

from reports.detect.thresholds import CONFIDENCE_LEVEL, FDR_LEVEL
from reports.vocabulary import BETTER, CHANGED, SAME, UNDECIDED, WORSE

Floats = NDArray[np.float64]
# Why a test is undecided.
NOISE = "indistinguishable from noise"
NOT_KNOWN_TO_MATTER = "it is there, and not known to reach the smallest effect"


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedEstimates:
    """One entry per test.

    Attributes:
        log_ratio: median of the log ratios head / base.
        ci_low, ci_high: confidence interval of that median; infinite where there are too few pairs.
        p: two-sided p of Wilcoxon's signed-rank test.
    """

    log_ratio: Floats
    ci_low: Floats
    ci_high: Floats
    p: Floats


def estimate(log_ratios: Floats) -> PairedEstimates:
    """Return estimates for a matrix of log ratios, tests by pairs.

    The interval is that of the order statistics (binomial, free of any distribution); its true level is
    at least `CONFIDENCE_LEVEL`. Wilcoxon's exact distribution is used where no row has ties or zeros.
    """
    tests, pairs = log_ratios.shape
    ordered = np.sort(log_ratios, axis=1)
    rank = _lower_rank(pairs)
    infinite = np.full(tests, np.inf)
    return PairedEstimates(
        log_ratio=np.median(ordered, axis=1),
        ci_low=-infinite if rank is None else ordered[:, rank],
        ci_high=infinite if rank is None else ordered[:, pairs - 1 - rank],
        p=_signed_rank_p(log_ratios),
    )


def _lower_rank(pairs: int) -> int | None:
    """Index, in sorted order, of the lower end of the median's interval."""
    tail = (1 - CONFIDENCE_LEVEL) / 2
    below = binom.cdf(np.arange(pairs), pairs, 0.5) <= tail
    return int(np.flatnonzero(below)[-1]) if below.any() else None


def _signed_rank_p(log_ratios: Floats) -> Floats:
    sizes = np.sort(np.abs(log_ratios), axis=1)
    clean = (sizes[:, 0] > 0) & (np.diff(sizes, axis=1) > 0).all(axis=1)
    p = np.ones(len(log_ratios))
    if clean.any():
        p[clean] = wilcoxon(log_ratios[clean], axis=1, method="exact").pvalue
    for row in np.flatnonzero(~clean):
        if log_ratios[row].any():
            p[row] = wilcoxon(log_ratios[row], zero_method="pratt", method="asymptotic").pvalue
    return p


def judge_estimates(
    found: PairedEstimates, p_adjusted: Floats, sign: Floats, smallest_log_effect: Floats
) -> NDArray[np.object_]:
    """Return a verdict for each test.

    `worse` and `better` need all three: adjusted p below the level, an interval without 1, and an effect
    of at least the smallest interesting one. `same` needs an interval inside that effect. All else is
    `undecided`: not seeing a difference is not seeing that there is none.

    Args:
        p_adjusted: p of `found`, adjusted over its family.
        sign: +1 where lower is better, -1 where higher is, 0 where neither.
        smallest_log_effect: log(1 + smallest relative change of interest).
    """
    excludes_one = (found.ci_low > 0) | (found.ci_high < 0)
    is_real = (p_adjusted < FDR_LEVEL) & excludes_one & (np.abs(found.log_ratio) >= smallest_log_effect)
    inside = (found.ci_low >= -smallest_log_effect) & (found.ci_high <= smallest_log_effect)
    loss = found.log_ratio * sign
    verdicts = np.where(inside, SAME, UNDECIDED).astype(object)
    verdicts[is_real] = CHANGED
    verdicts[is_real & (loss > 0)] = WORSE
    verdicts[is_real & (loss < 0)] = BETTER
    return verdicts


def open_words(found: PairedEstimates, p_adjusted: Floats) -> NDArray[np.object_]:
    """Return, for tests that are undecided, whether there is a change of unknown size or none was seen."""
    excludes_one = (found.ci_low > 0) | (found.ci_high < 0)
    is_there = (p_adjusted < FDR_LEVEL) & excludes_one
    return np.where(is_there, NOT_KNOWN_TO_MATTER, NOISE).astype(object)
