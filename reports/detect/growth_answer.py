"""One answer about the growth along all axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from exhausters.growth.window import CPU_TIME
from reports.detect.growth import Series
from reports.vocabulary import BETTER, BROKEN, NOT_JUDGED, SAME, UNDECIDED, WORSE


@dataclass(frozen=True, slots=True, kw_only=True)
class GrowthAnswer:
    """What became of the growth along every axis.

    Attributes:
        verdict: `worse`, `better`, `same`, `undecided`, `broken`, or `not judged` (one build).
        by_axis: the same of each axis.
        exit_code: 0 nothing grows faster, 1 something does, 2 broken or undecided.
    """

    verdict: str
    by_axis: Mapping[str, str]
    exit_code: int


def growth_answer(series: Sequence[Series]) -> GrowthAnswer:
    """Return one answer. Where paired CPU time is decided it overrules the counts of its axis.

    What is worse along one axis stays worse beside another that could not be measured or compared.
    """
    by_axis = {
        axis: _axis_verdict([one for one in series if one.axis == axis])
        for axis in dict.fromkeys(one.axis for one in series)
    }
    found = set(by_axis.values())
    verdict = next(word for word in (WORSE, BROKEN, UNDECIDED, BETTER, SAME, NOT_JUDGED) if word in found)
    code = {WORSE: 1, BROKEN: 2, UNDECIDED: 2}.get(verdict, 0)
    return GrowthAnswer(verdict=verdict, by_axis=by_axis, exit_code=code)


def _axis_verdict(series: Sequence[Series]) -> str:
    verdicts = [one.verdict for one in series]
    if BROKEN in verdicts:
        return BROKEN
    # An exact metric is undecided only where the windows did not do the same.
    if any(one.verdict == UNDECIDED and one.metric != CPU_TIME for one in series):
        return UNDECIDED
    timed = next((one.verdict for one in series if one.metric == CPU_TIME), None)
    if timed in (WORSE, BETTER, SAME):
        return timed
    found = next((word for word in (WORSE, BETTER) if word in verdicts), SAME)
    if found == WORSE or timed is None:
        return NOT_JUDGED if NOT_JUDGED in verdicts else found
    return NOT_JUDGED if timed == NOT_JUDGED else UNDECIDED
