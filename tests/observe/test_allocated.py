"""Bytes that phases allocate, on plain Python; operators need torch, and a double makes tensors here."""

from __future__ import annotations

import tracemalloc
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

from exhausters.observe import allocated
from exhausters.observe.allocated import AllocationMeter, allocation_metrics

_LARGE = 1_000_000


@pytest.fixture(name="meter")
def _meter(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(allocated, "operator_mode", lambda watcher: nullcontext())
    meter = AllocationMeter()
    meter.start()
    yield meter
    meter.stop()


def _operator(*sizes: int | None, as_list: bool = False) -> Any:
    """An operator that makes tensors of these sizes; None returns the one that it was given."""

    def run(given: Any) -> Any:
        made = [given if size is None else SimpleNamespace(nbytes=size) for size in sizes]
        return made if as_list or len(made) > 1 else made[0]

    returns = [SimpleNamespace(alias_info="a" if size is None else None) for size in sizes]
    run._schema = SimpleNamespace(returns=returns)  # type: ignore[attr-defined]
    return run


def test_what_a_phase_throws_away_at_once_counts(meter: AllocationMeter) -> None:
    """The most that a phase holds beyond what it began with is counted, by phase, and none between steps."""
    meter.enter("form")
    bytes(_LARGE)
    meter.enter("run")  # allocates nothing: the most before it is none of its own
    meter.enter("form")
    kept = bytes(_LARGE)
    meter.leave()
    counted = meter.python_bytes
    assert 2 * _LARGE <= counted < 2.2 * _LARGE
    kept += bytes(_LARGE)
    meter.leave()
    assert meter.python_bytes == counted


def test_tensors_count_that_an_operator_has_made(meter: AllocationMeter) -> None:
    """A view of what was there is no allocation; nor is what is made between steps, or has no size."""
    given = SimpleNamespace(nbytes=7)
    meter.run_operator(_operator(100), (given,), {})
    assert meter.tensor_bytes == 0
    meter.enter("run")
    made = meter.run_operator(_operator(16), (given,), {})
    assert (made.nbytes, meter.tensor_bytes) == (16, 16)
    assert meter.run_operator(_operator(None), (given,), {}) is given
    meter.run_operator(_operator(4, None, 8, as_list=True), (given,), {})
    assert meter.tensor_bytes == 16 + 4 + 8
    scalar = _operator(1)
    plain = lambda given: 5  # noqa: E731  an operator that returns a number
    plain._schema = scalar._schema  # type: ignore[attr-defined]
    assert meter.run_operator(plain, (given,), {}) == 5
    assert meter.tensor_bytes == 28


def test_a_meter_that_has_stopped_slows_nothing(meter: AllocationMeter) -> None:
    """Allocations are traced from `start` to `stop` only, and `stop` is harmless when repeated."""
    assert tracemalloc.is_tracing()
    meter.stop()
    meter.stop()
    assert not tracemalloc.is_tracing()


def test_bytes_are_told_by_the_step() -> None:
    """Windows of different lengths are comparable: both numbers are divided by the steps."""
    meter = AllocationMeter()
    meter.python_bytes, meter.tensor_bytes = 300, 50
    metrics = allocation_metrics(meter, steps=4)
    assert metrics == {"python_bytes_per_step": 75.0, "tensor_bytes_per_step": 12.5}
