"""Order and failures of a growth measurement, on doubles; each way of measuring, on the fake engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, cast

import pytest

from exhausters.errors import HostError, ScriptFailedError, UsageError
from exhausters.growth import window as growth_window
from exhausters.growth.axes import AXIS_NAMES, CONTEXT, QUEUE, TREE, Point
from exhausters.growth.measure import GrowthPlan, PointRun, measure_growth
from exhausters.growth.window import (
    ALLOCATIONS,
    COUNT,
    CPU_TIME,
    EXACT_PASSES,
    LINES,
    TIME,
    WINDOW_STEPS,
    Sizes,
    Window,
    measure_point,
)
from exhausters.growth.window_work import work_of
from exhausters.observe.step_record import StepRecord
from exhausters.sweep.workers import Workers
from tests.fakes.fake_engine import ScriptRunner
from tests.fakes.fake_target import fake_target

_BASE, _HEAD = fake_target(), replace(fake_target(), name="other")
_POINTS = (Point(axis=QUEUE, size=16), Point(axis=TREE, size=64))


class _Owner:
    """Stands where `Workers` stand; each build's host returns one window, or raises at the points named."""

    def __init__(self, *, broken: Sequence[tuple[str, Point]] = (), error: Exception | None = None) -> None:
        self.is_interrupted = False
        self.returned = 0
        self._broken, self._error = broken, error or HostError("the worker ended\nwith more to say")

    def lease(self) -> _Owner:
        return self

    def host(self, target: Any, _: Any) -> _Host:
        return _Host(self, target.name)

    def interrupt(self) -> None:
        self.is_interrupted = True

    def __exit__(self, *_: object) -> None:
        self.returned += 1

    def answer(self, name: str, point: Point) -> Window:
        if (name, point) in self._broken:
            raise self._error
        sizes = Sizes(context_tokens=0, waiting=point.size, nodes=0)
        work = work_of([StepRecord(step=0, mode="idle")])
        return Window(digest="d", before=sizes, after=sizes, work=work, metrics={})


class _Host:
    def __init__(self, owner: _Owner, name: str) -> None:
        self._owner, self._name = owner, name

    def run(self, _: Any, point: Point, __: Any, **___: Any) -> Window:
        return self._owner.answer(self._name, point)


def _measured(plan: GrowthPlan, owner: _Owner, kept: list[PointRun] | None = None) -> tuple[PointRun, ...]:
    keep = (kept if kept is not None else []).append
    return measure_growth(plan, cast(Workers, owner), keep=keep, say=lambda text: None)


def test_timed_windows_take_turns() -> None:
    """Exact windows come first, one per build; then each round times the builds in the other order."""
    owner, kept = _Owner(), list[PointRun]()
    plan = GrowthPlan(targets=(_BASE, _HEAD), points=_POINTS[:1], rounds=2)
    found = _measured(plan, owner, kept)
    told = [(one.target, one.round, one.order) for one in found]
    assert told == [
        ("fake", None, None),
        ("other", None, None),
        ("fake", 0, "AB"),
        ("other", 0, "AB"),
        ("other", 1, "BA"),
        ("fake", 1, "BA"),
    ]
    assert kept == list(found)
    assert len(found) == plan.runs
    assert owner.returned == 2


def test_a_point_that_fails_keeps_no_other_from_being_measured() -> None:
    """The failure is told in the run, in one line; all other runs have their windows."""
    owner = _Owner(broken=[("other", _POINTS[0])])
    found = _measured(GrowthPlan(targets=(_BASE, _HEAD), points=_POINTS, rounds=1), owner)
    failed = [one for one in found if one.window is None]
    assert {(one.target, one.point) for one in failed} == {("other", _POINTS[0])}
    assert {one.failure for one in failed} == {"HostError: the worker ended"}
    assert len(found) - len(failed) == 6
    assert failed[0].to_json()["digest"] is None


def test_an_interruption_is_no_failure_of_a_point() -> None:
    """After Ctrl-C what the dying workers raise ends the measurement; it is not written as a result."""
    owner = _Owner(broken=[("fake", _POINTS[0])])
    owner.is_interrupted = True
    kept: list[PointRun] = []
    with pytest.raises(HostError):
        _measured(GrowthPlan(targets=(_BASE,), points=_POINTS, rounds=0), owner, kept)
    assert kept == []
    assert owner.returned == 1


def test_any_other_error_interrupts_the_workers() -> None:
    """A mistake of the harness leaves no worker running for a thread that nobody waits for."""
    owner = _Owner(broken=[("fake", _POINTS[0])], error=ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        _measured(GrowthPlan(targets=(_BASE,), points=_POINTS, rounds=0), owner)
    assert owner.is_interrupted
    assert owner.returned == 1


def test_plans_that_say_nothing_are_refused() -> None:
    """A build against itself, and a negative number of rounds, before anything is booted."""
    with pytest.raises(UsageError, match="fake against itself"):
        GrowthPlan(targets=(_BASE, _BASE), points=_POINTS)
    with pytest.raises(UsageError, match="--rounds -1"):
        GrowthPlan(targets=(_BASE,), points=_POINTS, rounds=-1)


def _window(axis: str, size: int, passes: tuple[str, ...]) -> Window:
    runner = ScriptRunner(max_total_tokens=16_384)
    found: Window = runner.run(measure_point, Point(axis=axis, size=size), passes)
    return found


def test_every_axis_has_a_load_that_holds_its_size() -> None:
    """Contexts are as long, queues as deep and trees as large as asked for when the window begins."""
    assert set(AXIS_NAMES) == {CONTEXT, QUEUE, TREE}
    assert _window(CONTEXT, 256, (TIME,)).before.context_tokens >= 256
    assert _window(QUEUE, 16, (TIME,)).before.waiting >= 14
    assert _window(TREE, 64, (TIME,)).before.nodes >= 60


def test_ways_of_measuring_share_one_window() -> None:
    """All passes over a point decide the same, and their metrics come back together."""
    found = _window(QUEUE, 16, (TIME, LINES))
    assert set(found.metrics) == {CPU_TIME, "executed_lines_per_step"}
    assert found.metrics["executed_lines_per_step"] > 0
    assert found.digest == _window(QUEUE, 16, (TIME,)).digest


class _Meter:
    """Stands for a counter of calls and for a meter of bytes, which need torch; the first `cold` are cold."""

    cold = 0
    made: ClassVar[list[_Meter]] = []

    def __init__(self) -> None:
        self.made.append(self)
        self.calls_made, self.stopped = len(self.made), False
        self.is_cold = len(self.made) <= self.cold

    def start(self) -> None:
        self.stopped = False

    def stop(self) -> None:
        self.stopped = True

    def enter(self, phase: str) -> None:
        pass

    def leave(self) -> None:
        pass

    def calls(self) -> tuple[dict[str, int], dict[str, int], dict[str, int]]:
        return {"run": WINDOW_STEPS * self.calls_made}, {}, {}


@pytest.fixture(name="meter")
def _meter(monkeypatch: pytest.MonkeyPatch) -> type[_Meter]:
    monkeypatch.setattr(_Meter, "made", [])
    monkeypatch.setattr(_Meter, "cold", 0)
    for name in ("WorkCounter", "AllocationMeter"):
        monkeypatch.setattr(growth_window, name, _Meter)
    monkeypatch.setattr(
        growth_window, "allocation_metrics", lambda meter, steps: {"python_bytes_per_step": 1.0}
    )
    return _Meter


@pytest.mark.parametrize(("cold", "attempts"), [(0, 1), (2, 3), (9, 3)])
def test_a_cold_count_is_made_again(meter: type[_Meter], cold: int, attempts: int) -> None:
    """Calls that only a first window makes are in no number; after three attempts the last one stands."""
    meter.cold = cold
    found = _window(QUEUE, 16, (COUNT,))
    assert len(meter.made) == attempts
    assert found.metrics["python_calls_per_step"] == attempts
    assert all(one.stopped for one in meter.made)


def test_bytes_are_metered_in_a_window_of_their_own(meter: type[_Meter]) -> None:
    """Metering slows the loop: it begins and ends with its own pass, beside the one that counts."""
    found = _window(QUEUE, 16, (COUNT, ALLOCATIONS))
    assert len(meter.made) == 2
    assert all(one.stopped for one in meter.made)
    assert {"python_calls_per_step", "python_bytes_per_step"} <= set(found.metrics)


def test_passes_that_decide_differently_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers of two different windows are never joined into one."""
    once = growth_window._MEASURED[TIME]

    def other(context: Any, point: Point) -> Any:
        window = yield from once(context, point)
        return replace(window, digest="other")

    monkeypatch.setitem(growth_window._MEASURED, LINES, other)
    with pytest.raises(ScriptFailedError, match="decided differently"):
        _window(QUEUE, 16, (TIME, LINES))


@pytest.mark.parametrize("passes", [(), ("no such pass",)])
def test_a_pass_that_there_is_not_is_refused(passes: tuple[str, ...]) -> None:
    """Before any step is taken."""
    with pytest.raises(UsageError, match=f"expected one or more of {TIME}, {', '.join(EXACT_PASSES)}"):
        _window(QUEUE, 16, passes)


def test_a_size_that_is_never_reached_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """A load that the engine never takes in does not run for ever; the sizes it came to are told."""
    monkeypatch.setattr(growth_window, "_SETUP_STEPS_MAX", 20)
    with pytest.raises(ScriptFailedError, match="size 20000: not reached within 20 steps: Sizes"):
        _window(CONTEXT, 20_000, (TIME,))
