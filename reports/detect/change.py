"""What changed: the one judge of exact metrics and of decision logs.

The gate, the history, the dashboard and the history table all use this judge, so they agree. It compares each
build with the last earlier build that has evidence about the same cell:

* For a metric, evidence is a run that drained and measured it. The run may have no value (the median of no
  retractions), which differs from having one. A run that is missing, crashed, failed, timed out, was skipped,
  stalled, aborted or ran out of memory is no evidence: its build is passed over and gets no verdict.
  Counts of work by another Python or torch are not compared at all.
* For a decision log, evidence is a log of a run that the scheduler itself ended: drained, stalled, aborted or
  out of memory. A run that crashed or timed out is no evidence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from exhausters.observe.metrics import WORK
from reports.detect.measured import Floats, Ints, Mask, Measured, signs, tolerances
from reports.vocabulary import BETTER, BROKEN, CHANGED, NOT_JUDGED, SAME, WORSE

Codes = NDArray[np.int8]
T = TypeVar("T", bound=np.generic)

# Verdicts as small numbers, for arrays: an index into WORDS.
WORDS = np.array([SAME, BETTER, WORSE, CHANGED, BROKEN, NOT_JUDGED], dtype=object)
CODE: Mapping[str, int] = {word: code for code, word in enumerate(WORDS)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """The judge's answer; arrays have the shape of what was judged, builds first.

    Attributes:
        codes: the verdict on each entry, an index into `WORDS`.
        before: number of the build that each entry was compared with; -1 where there is none.
    """

    codes: Codes
    before: Ints


def judge_metrics(measured: Measured, tolerance: Mapping[str, float]) -> Changes:
    """Return what changed from build to build. Metrics of kinds that are not exact are not judged.

    Args:
        measured: two builds or more, oldest first.
        tolerance: relative differences by metric, from the configuration.
    """
    before = last_known(measured.known)
    allowed = tolerances(measured.metrics, tolerance)[:, None]
    codes = judge_values(
        taken_from(measured.values, before),
        measured.values,
        signs(measured.metrics["better"])[:, None],
        allowed,
    )
    codes[measured.unstable | taken_from(measured.unstable, before)] = CODE[BROKEN]
    codes[~measured.known | (before < 0) | np.isnan(allowed)] = CODE[NOT_JUDGED]
    codes[_counted_elsewhere(measured, before)] = CODE[NOT_JUDGED]
    return Changes(codes=codes, before=before)


def _counted_elsewhere(measured: Measured, before: Ints) -> Mask:
    """Where work was counted by another Python or torch than in the build that it is compared with."""
    names = {name: number for number, name in enumerate(dict.fromkeys(measured.environments))}
    numbers = np.array([-1 if name is None else names[name] for name in measured.environments])
    ours = numbers[:, None, None]
    theirs = numbers[np.maximum(before, 0)]
    is_work = (measured.metrics["kind"] == WORK).to_numpy(dtype=bool)[:, None]
    elsewhere: Mask = is_work & (ours >= 0) & (theirs >= 0) & (ours != theirs)
    return elsewhere


def judge_logs(digests: NDArray[np.object_], unstable: Mask) -> Changes:
    """Return which decision logs changed from build to build.

    Args:
        digests: builds x cells; None where there is no log to judge.
        unstable: several runs of one build, or passes of one run, decided differently.
    """
    known = np.array([[digest is not None for digest in build] for build in digests], dtype=bool)
    known = known.reshape(digests.shape)
    before = last_known(known)
    codes = np.where(taken_from(digests, before) == digests, CODE[SAME], CODE[CHANGED]).astype(np.int8)
    codes[unstable | taken_from(unstable, before)] = CODE[BROKEN]
    codes[~known | (before < 0)] = CODE[NOT_JUDGED]
    return Changes(codes=codes, before=before)


def judge_values(base: Floats, head: Floats, sign: Floats, tolerance: Floats) -> Codes:
    """Return the verdict on each pair of values; the arrays broadcast.

    Args:
        base, head: values; NaN where a run has no such value.
        sign: +1 where lower is better, -1 where higher is, 0 where neither.
        tolerance: relative difference, of base, up to which two values are the same.
    """
    base, head = np.broadcast_arrays(base, head)
    # Comparisons with NaN are false, so a missing value is never equal and never beyond.
    same = (np.abs(head - base) <= tolerance * np.abs(base)) | (base == head)
    loss = (head - base) * sign
    codes = np.full(base.shape, CODE[CHANGED], dtype=np.int8)
    codes[loss > 0] = CODE[WORSE]
    codes[loss < 0] = CODE[BETTER]
    codes[same | (np.isnan(base) & np.isnan(head))] = CODE[SAME]
    return codes


def last_known(known: Mask) -> Ints:
    """Return, for each entry, the number of the last build before it that is known; -1 where none is."""
    builds = np.arange(len(known)).reshape(-1, *[1] * (known.ndim - 1))
    before = np.full(known.shape, -1, dtype=np.int64)
    before[1:] = np.maximum.accumulate(np.where(known, builds, -1), axis=0)[:-1]
    return before


def taken_from(values: NDArray[T], before: Ints) -> NDArray[T]:
    """Return the values that each entry is compared with; where there is none, that of the first build."""
    return np.take_along_axis(values, np.maximum(before, 0), axis=0)
