"""Slopes of different work are never compared: windows on the fake engine, and the answer about them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest

from exhausters.growth import window as growth_window
from exhausters.growth.axes import QUEUE, TREE, Point
from exhausters.growth.measure import PointRun
from exhausters.growth.window import CPU_TIME, EXACT_METRICS, TIME, Window, measure_point
from exhausters.growth.window_work import WindowWork, size_not_kept, work_of
from exhausters.observe.step_record import StepRecord
from reports.detect.growth import Series, judge_growth
from reports.detect.growth_answer import growth_answer
from reports.render.growth import growth_document
from reports.vocabulary import SAME, UNDECIDED, WORSE
from tests.fakes.fake_engine import ScriptRunner

SIZES = (16, 64)
UNITS = {"queue": "waiting requests"}
Edit = Callable[[PointRun], PointRun]


def _windows(**settings: Any) -> dict[int, Window]:
    """The queue's window at each size, on a fake of these settings."""
    found = {}
    for size in SIZES:
        runner = ScriptRunner(max_total_tokens=16_384, **settings)
        found[size] = runner.run(measure_point, Point(axis=QUEUE, size=size), (TIME,))
    return found


def _runs(base: dict[int, Window], head: dict[int, Window], *, axis: str = QUEUE) -> list[PointRun]:
    """Both builds' exact windows and twelve rounds, all of equal cost."""
    runs = []
    for target, windows in (("a", base), ("b", head)):
        for size, one in windows.items():
            point = Point(axis=axis, size=size)
            exact = replace(one, metrics=dict.fromkeys(EXACT_METRICS, 500.0))
            runs.append(PointRun(target=target, point=point, window=exact))
            runs += [
                PointRun(
                    target=target,
                    point=point,
                    round=number,
                    order=("AB", "BA")[number % 2],
                    window=replace(one, metrics={CPU_TIME: 1.0}),
                )
                for number in range(12)
            ]
    return runs


def _judged(runs: Iterable[PointRun]) -> tuple[tuple[Series, ...], str, int]:
    series = judge_growth(tuple(runs), base="a", head="b", units=UNITS)
    answer = growth_answer(series)
    return series, answer.verdict, answer.exit_code


def test_builds_that_do_the_same_are_compared() -> None:
    """Nothing keeps equal windows from a verdict, and the queue is kept at its size on the fake."""
    windows = _windows()
    series, verdict, code = _judged(_runs(windows, windows))
    assert (verdict, code) == (SAME, 0)
    assert not any(one.reason for one in series)


def test_builds_that_do_not_do_the_same_are_undecided() -> None:
    """A head that needs two chunks for each prompt: no slope is compared, and the reason says why."""
    series, verdict, code = _judged(_runs(_windows(), _windows(chunked_prefill_size=32)))
    assert (verdict, code) == (UNDECIDED, 2)
    assert {one.verdict for one in series} == {UNDECIDED}
    (reason,) = {one.reason for one in series}
    assert reason.startswith("at 16 waiting requests: the builds did not do the same: ")
    assert "tokens " in reason
    document = growth_document(series, growth_answer(series))
    assert all(one["effect"] is None and one["base_slope"] is not None for one in document["series"])


def test_a_window_that_did_not_repeat_is_undecided() -> None:
    """One timed window of head that did something else than its exact one is enough."""
    windows = _windows()
    runs = _runs(windows, windows)
    last = runs[-1]
    assert last.window is not None
    other = replace(last.window, digest="other", work=replace(last.window.work, tokens=1))
    runs[-1] = replace(last, window=other)
    series, verdict, _ = _judged(runs)
    assert verdict == UNDECIDED
    assert "two windows of b did not do the same: tokens " in series[0].reason


def test_other_sizes_at_the_start_are_other_work() -> None:
    """Equal steps over trees of different sizes are not compared either."""
    windows = _windows()
    other = {
        size: replace(one, before=replace(one.before, nodes=one.before.nodes + 7))
        for size, one in windows.items()
    }
    series, verdict, _ = _judged(_runs(windows, other))
    assert verdict == UNDECIDED
    assert "nodes at the start " in series[0].reason


def test_a_queue_that_shrinks_is_undecided(monkeypatch: pytest.MonkeyPatch) -> None:
    """A load that is not replenished, alike on both sides: the slope is not that of the size asked for."""
    whole = growth_window._DeepQueue.replenish
    monkeypatch.setattr(
        growth_window._DeepQueue, "replenish", lambda load: None if load._sent else whole(load)
    )
    windows = _windows()
    series, verdict, code = _judged(_runs(windows, windows))
    assert (verdict, code) == (UNDECIDED, 2)
    assert "did not keep the size" in series[0].reason
    assert "waiting requests in the window instead of 16" in series[0].reason


def test_what_is_worse_along_another_axis_stays_worse() -> None:
    """An axis that cannot be compared hides no loss along another."""
    windows = _windows()
    undecided, _, _ = _judged(_runs(windows, _windows(chunked_prefill_size=32)))
    worse = replace(undecided[0], axis="context", metric=EXACT_METRICS[0], verdict=WORSE, reason="")
    answer = growth_answer((*undecided, worse))
    assert (answer.verdict, answer.exit_code) == (WORSE, 1)


def _work(**sizes: int) -> WindowWork:
    (one,) = (StepRecord(step=0, mode="idle"),)
    return replace(work_of([one]), **sizes)


@pytest.mark.parametrize(
    ("axis", "least", "most", "is_kept"),
    [
        (QUEUE, 14, 16, True),
        (QUEUE, 12, 16, False),
        (QUEUE, 16, 21, False),
        (TREE, 16 * 32 - 64, 16 * 32, True),
        (TREE, 16 * 16, 16 * 32, False),
    ],
)
def test_a_size_is_kept_or_not(axis: str, least: int, most: int, is_kept: bool) -> None:
    """What two admitted requests or two evicted prompts change is kept; a fifth is not."""
    name = "waiting" if axis == QUEUE else "cached_tokens"
    work = _work(**{f"least_{name}": least, f"most_{name}": most})
    assert (size_not_kept(Point(axis=axis, size=16), work, leaf_tokens=32) == "") is is_kept
