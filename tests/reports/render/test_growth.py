"""What a growth measurement prints: the answer, a table per axis, and why something was not decided."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from rich.console import Console

from exhausters.growth.window import CPU_TIME, EXACT_METRICS
from reports.detect.growth import Series
from reports.detect.growth_answer import growth_answer
from reports.render.growth import print_growth
from reports.vocabulary import BROKEN, NOT_JUDGED, SAME, UNDECIDED, WORSE

_NAN = float("nan")
_UNITS = {"queue": "waiting requests", "tree": "cached nodes"}


def _series(**fields: Any) -> Series:
    given: dict[str, Any] = {
        "axis": "queue",
        "metric": EXACT_METRICS[0],
        "sizes": (16, 1_024),
        "base": (500.0, 600.0),
        "head": (500.0, 900.0),
        "base_slope": 100.0,
        "head_slope": 400.0,
    }
    return Series(**given | fields)


def _printed(series: Sequence[Series]) -> str:
    out = io.StringIO()
    print_growth(series, growth_answer(series), units=_UNITS, console=Console(width=160, file=out))
    return out.getvalue()


def _row(text: str, name: str) -> str:
    (found,) = [line for line in text.splitlines() if line.strip("│ ").startswith(name)]
    return found


def test_what_grows_faster_is_named_with_its_axis_and_both_builds() -> None:
    """A reader sees at once that it is worse and along which axis, and how much larger head's growth is."""
    text = _printed(
        [
            _series(verdict=WORSE, effect=0.5),
            _series(axis="tree", sizes=(64, 256), head=(500.0, 600.0), head_slope=100.0, verdict=SAME),
        ]
    )
    headline, queue, tree = text.splitlines()[0], *text.split("tree: 64 to 256 cached nodes")
    assert headline.startswith("worse")
    assert headline.endswith("(queue)")
    row = _row(queue, "python calls")
    assert "600.0 → 900.0" in row
    assert "+100.0 → +400.0" in row
    assert "+50.0 %" in row
    assert "→" not in _row(tree, "python calls")


def test_a_value_that_is_the_same_on_both_is_told_once() -> None:
    """No arrow stands between equal numbers, and rounding noise around zero is no growth."""
    text = _printed(
        [_series(head=(500.0, 600.0), base_slope=0.01, head_slope=-0.01, verdict=SAME, effect=1e-6)]
    )
    row = _row(text, "python calls")
    assert "→" not in row
    assert "-0.0" not in row
    assert "0 %" in row


def test_time_is_shown_in_microseconds_with_its_interval() -> None:
    """CPU time per step, measured in ms, is shown in µs; a paired effect has both ends of its interval."""
    text = _printed(
        [
            _series(
                metric=CPU_TIME,
                base=(0.25, 0.5),
                head=(0.25, 0.75),
                verdict=WORSE,
                effect=0.5,
                ci_low=0.4,
                ci_high=0.6,
            )
        ]
    )
    assert "500.0 → 750.0" in _row(text, "CPU time, µs")
    assert "+50.0 % [+40.0 %, +60.0 %]" in text


def test_one_build_is_not_judged() -> None:
    """Of a single build its values stand alone: no second build, no verdict, no nan."""
    text = _printed([_series(head=(_NAN, _NAN), head_slope=_NAN, verdict=NOT_JUDGED)])
    row = _row(text, "python calls")
    assert "600.0" in row
    assert "→" not in text
    assert "nan" not in text
    assert "verdict" not in text


def test_what_could_not_be_measured_has_a_reason_instead_of_a_row() -> None:
    """An axis of which nothing was measured has no table; its reason is told once for all its metrics."""
    text = _printed(
        [
            _series(axis="tree", metric=name, verdict=BROKEN, reason="at 64: HostError: gone")
            for name in EXACT_METRICS[:2]
        ]
    )
    assert "cached nodes" not in text
    assert text.count("HostError: gone") == 1
    assert "broken: tree: at 64" in text


def test_the_reason_of_one_metric_names_it() -> None:
    """Where only one metric of an axis is undecided, its reason is not taken for that of the others."""
    text = _printed(
        [
            _series(verdict=UNDECIDED, reason="too noisy"),
            _series(metric=EXACT_METRICS[1], verdict=SAME, effect=0.0),
        ]
    )
    assert "undecided: queue, python calls: too noisy" in text
    assert "–" in _row(text, "python calls")
