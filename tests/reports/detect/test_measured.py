"""Promises about how runs become arrays."""

from __future__ import annotations

import numpy as np

from exhausters.observe.metrics import METRICS
from reports.detect.measured import Measured, describe_metrics, measure
from reports.load.frame import results_of
from reports.load.measurements import Reading, Run


def _run(outcome: str = "drained", **values: float | None) -> Run:
    readings = tuple(Reading(metric=METRICS[name], value=value) for name, value in values.items())
    return Run(target="b", suite="sweep", session="s", cell="c", outcome=outcome, readings=readings)


def _measured(*runs: Run) -> Measured:
    """All runs as runs of one build and cell."""
    frame = results_of(runs, [], []).frame
    build = np.zeros(len(frame), dtype=np.int64)
    return measure(frame, build, 1, metrics=describe_metrics(frame), cells=["c"])


def test_repeated_runs_are_one_value() -> None:
    """The median of several runs counts; exact ones that differ beyond their tolerance are unstable."""
    found = _measured(
        _run(steps_to_drain=10, chunks=3, python_calls=1_000_000, scheduler_cpu_ms_per_step=1.0),
        _run(steps_to_drain=10, chunks=5, python_calls=1_000_010, scheduler_cpu_ms_per_step=2.0),
    )
    assert found.values[0, :, 0].tolist() == [10, 4, 1_000_005, 1.5]
    assert found.unstable[0, :, 0].tolist() == [False, True, False, False]


def test_a_run_with_a_value_and_one_without_are_unstable() -> None:
    """An exact metric that has a value in only one of two runs does not repeat."""
    found = _measured(_run(recompute_tax=0.5), _run(recompute_tax=None))
    assert found.unstable.all()


def test_a_drained_run_without_a_value_is_known() -> None:
    """Having no value is what the run measured; a run that did not drain measured nothing."""
    assert _measured(_run(recompute_tax=None)).known.all()
    assert not _measured(_run("stalled", recompute_tax=0.5)).known.any()


def test_the_worst_of_several_runs_counts() -> None:
    """A cell of which one run crashed says nothing about exact metrics; host time is judged per round."""
    found = _measured(_run(steps_to_drain=10, scheduler_cpu_ms_per_step=1.0), _run("crashed"))
    assert found.known[0, :, 0].tolist() == [False, True]
