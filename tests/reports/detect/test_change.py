"""Promises of the one judge of change, on plain arrays; test_one_judge.py holds its users to it."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from reports.detect.change import WORDS, judge_logs, judge_values, last_known
from reports.detect.thresholds import WORK_TOLERANCE
from tests.reports import slow_doubles

_SIGN = {"lower": 1.0, "higher": -1.0, "none": 0.0}
_values = st.one_of(
    st.just(math.nan),
    st.sampled_from([0.0, 1.0, 1.00005, 1.0001, 1.0002, 5.0, -3.0]),
    st.floats(min_value=-1e9, max_value=1e9),
)


@given(
    st.lists(
        st.tuples(_values, _values, st.sampled_from(sorted(_SIGN)), st.sampled_from([0.0, WORK_TOLERANCE])),
        min_size=1,
        max_size=30,
    )
)
def test_the_vectorised_detector_equals_the_slow_one(rows: list[tuple[float, float, str, float]]) -> None:
    """For any values, missing ones included, arrays and loops give the same verdicts."""
    base, head, better, tolerance = zip(*rows, strict=True)
    codes = judge_values(
        np.array(base), np.array(head), np.array([_SIGN[word] for word in better]), np.array(tolerance)
    )
    assert list(WORDS[codes]) == [slow_doubles.judge_values(*row) for row in rows]


@given(st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=1, max_size=8))
def test_the_build_before_is_the_last_one_with_evidence(rows: list[list[bool]]) -> None:
    """Whatever is missing, each build is compared with the nearest earlier one that is not, or with none."""
    before = last_known(np.array(rows))
    for build, row in enumerate(before):
        for cell, found in enumerate(row):
            earlier = [number for number in range(build) if rows[number][cell]]
            assert found == (earlier[-1] if earlier else -1)


def test_logs_are_same_changed_broken_or_not_judged() -> None:
    """A log is compared with the last one before it; unknown ones are passed over, unstable ones broken."""
    digests = np.array([["a", "a", None], [None, "a", "a"], ["a", "b", "a"], ["b", "b", "a"]], dtype=object)
    unstable = np.zeros(digests.shape, dtype=bool)
    unstable[2, 2] = True
    changes = judge_logs(digests, unstable)
    assert WORDS[changes.codes].tolist() == [
        ["not judged", "not judged", "not judged"],
        ["not judged", "same", "not judged"],
        ["same", "changed", "broken"],
        ["changed", "same", "broken"],
    ]
    assert changes.before.tolist() == [[-1, -1, -1], [0, 0, -1], [0, 1, 1], [2, 2, 2]]
