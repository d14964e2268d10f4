"""Growth on made-up numbers: constants drop out, growth is found, noise raises no alarm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields

import numpy as np
import pytest

from exhausters.growth.axes import Point
from exhausters.growth.measure import ORDERS, PointRun
from exhausters.growth.window import CPU_TIME, EXACT_METRICS, Sizes, Window
from exhausters.growth.window_work import WindowWork
from reports.detect.growth import judge_growth, log_ratios, slopes
from reports.detect.growth_answer import growth_answer
from reports.vocabulary import BETTER, BROKEN, CHANGED, NOT_JUDGED, SAME, UNDECIDED, WORSE

SIZES = (16, 64, 256, 1024)
UNITS = {"queue": "waiting requests"}
Cost = Callable[[int], float]


def _flat(size: int) -> float:
    return 1_000.0


def _kept(size: int) -> WindowWork:
    """A window in which as many requests wait as were asked for."""
    nothing = dict.fromkeys((one.name for one in fields(WindowWork)), 0)
    return WindowWork(**nothing | {"least_waiting": size, "most_waiting": size})


def _run(target: str, size: int, number: int | None, metrics: dict[str, float]) -> PointRun:
    sizes = Sizes(context_tokens=0, waiting=size, nodes=0)
    return PointRun(
        target=target,
        point=Point(axis="queue", size=size),
        round=number,
        order=None if number is None else ORDERS[number % 2],
        window=Window(digest="d", before=sizes, after=sizes, work=_kept(size), metrics=metrics),
    )


def _runs(
    base: Cost, head: Cost, *, counts: Cost | None = None, rounds: int = 10, noise: float = 0.0, seed: int = 0
) -> list[PointRun]:
    """CPU time of both as given, with noise; counts constant, those of head as given."""
    draw = np.random.default_rng(seed)
    runs = []
    for target, cost in (("a", base), ("b", head)):
        for size in SIZES:
            count = counts(size) if counts is not None and target == "b" else 500.0
            runs.append(_run(target, size, None, dict.fromkeys(EXACT_METRICS, count)))
            for number in range(rounds):
                value = cost(size) * float(np.exp(noise * draw.standard_normal()))
                runs.append(_run(target, size, number, {CPU_TIME: value}))
    return runs


def _judged(runs: list[PointRun], head: str | None = "b") -> tuple[dict[str, str], str, int]:
    series = judge_growth(runs, base="a", head=head, units=UNITS)
    answer = growth_answer(series)
    return {one.metric: one.verdict for one in series}, answer.verdict, answer.exit_code


def test_the_slope_is_what_an_element_costs() -> None:
    """A constant is no growth, whatever it is."""
    values = np.array([[100.0 + 2 * size for size in SIZES], [7.0] * len(SIZES)])
    assert slopes(SIZES, values) == pytest.approx([2.0, 0.0], abs=1e-9)


def test_a_constant_more_is_no_growth() -> None:
    """Head pays more at every size alike: another tool's finding, not this one's."""
    base = np.array([[100.0 + size for size in SIZES]])
    assert log_ratios(SIZES, base, base + 300.0) == pytest.approx([0.0], abs=1e-9)


def test_the_effect_is_what_the_largest_size_costs_more() -> None:
    """A copy that takes 20 % of a step at the largest size makes it some 20 % dearer."""
    base = np.full((1, len(SIZES)), 1_000.0)
    head = base + 200.0 * np.array(SIZES) / SIZES[-1]
    assert np.expm1(log_ratios(SIZES, base, head)) == pytest.approx(
        [0.2 * (SIZES[-1] - SIZES[0]) / SIZES[-1]]
    )


@pytest.mark.parametrize(("factor", "verdict", "code"), [(0.5, WORSE, 1), (-0.3, BETTER, 0), (0.0, SAME, 0)])
def test_cpu_time_that_grows_is_found_through_noise(factor: float, verdict: str, code: int) -> None:
    """Worse, better and the same, each from ten rounds with 1 % of noise."""
    runs = _runs(_flat, lambda size: 1_000.0 + factor * 1_000.0 * size / SIZES[-1], noise=0.01)
    verdicts, answer, exit_code = _judged(runs)
    assert (verdicts[CPU_TIME], answer, exit_code) == (verdict, verdict, code)


def test_one_build_against_itself_is_hardly_ever_worse() -> None:
    """By noise of 5 % alone, at most one in twenty of 200 comparisons calls anything worse or better."""
    answers = [_judged(_runs(_flat, _flat, noise=0.05, seed=seed))[1] for seed in range(200)]
    assert sum(answer in (WORSE, BETTER) for answer in answers) <= 10
    assert answers.count(UNDECIDED) > 0


def test_few_rounds_are_undecided() -> None:
    """Without ten pairs nothing about time is a pass."""
    assert _judged(_runs(_flat, lambda size: 1_000.0 + size, rounds=9))[1:] == (UNDECIDED, 2)


@pytest.mark.parametrize(
    ("counts", "verdict"),
    [
        (lambda size: 500.0, SAME),
        (lambda size: 900.0, SAME),
        (lambda size: 500.0 + size / 100, CHANGED),
        (lambda size: 500.0 + size, WORSE),
        (lambda size: 500.0 - size / 10, BETTER),
    ],
)
def test_counts_are_compared_exactly(counts: Cost, verdict: str) -> None:
    """Without any time, growth of a count that matters is worse; less is shown."""
    verdicts, answer, code = _judged(_runs(_flat, _flat, counts=counts, rounds=0))
    assert verdicts["python_calls_per_step"] == verdict
    assert (answer, code) == ({CHANGED: SAME}.get(verdict, verdict), int(verdict == WORSE))


def test_measured_time_overrules_counts() -> None:
    """A count that grows while time does not is shown, and is not the answer."""
    verdicts, answer, code = _judged(_runs(_flat, _flat, counts=lambda size: 500.0 + size, noise=0.005))
    assert verdicts["python_calls_per_step"] == WORSE
    assert (answer, code) == (SAME, 0)


def test_a_size_that_failed_is_broken() -> None:
    """What could not be measured is never a pass."""
    runs = _runs(_flat, _flat)
    runs[0] = PointRun(target="a", point=Point(axis="queue", size=16), failure="WorkerCrashedError: gone")
    assert _judged(runs)[1:] == (BROKEN, 2)


def test_one_build_is_shown_and_not_judged() -> None:
    """Its slopes are there, and the exit code is 0."""
    runs = [run for run in _runs(lambda size: 1.0 + size, _flat) if run.target == "a"]
    verdicts, answer, code = _judged(runs, head=None)
    assert set(verdicts.values()) == {NOT_JUDGED}
    assert (answer, code) == (NOT_JUDGED, 0)
