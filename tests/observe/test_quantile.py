from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from exhausters.observe.quantile import percentile


def test_nearest_ranks_by_hand() -> None:
    """Of ten values the median is the fifth, the 99th percentile the last, the 0th the first."""
    values = [float(value) for value in range(10, 20)]
    assert [percentile(values, percent) for percent in (0, 10, 11, 50, 90, 99, 100)] == [
        10.0,
        10.0,
        11.0,
        14.0,
        18.0,
        19.0,
        19.0,
    ]


def test_nothing_has_no_percentile() -> None:
    """Without values there is None, not a made-up number."""
    assert percentile([], 50) is None


@given(st.lists(st.integers(0, 50), min_size=1), st.integers(1, 100))
def test_enough_values_are_at_most_the_percentile(values: list[int], percent: int) -> None:
    """The percentile is the smallest value that at least that share of the values does not exceed."""
    found = percentile(sorted(values), percent)
    enough = [
        value for value in values if 100 * sum(other <= value for other in values) >= percent * len(values)
    ]
    assert found == min(enough)
