"""A cell of the gate suite: one counted pass, then timed rounds that must decide what it decided."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from exhausters.errors import WorkerHungError
from exhausters.gate_suite.measured_cells import DRAIN, EVICT, FORM_BATCH, PIN, Bench, MeasuredCell, repeat
from exhausters.gate_suite.scripts import Timed, TimedCell
from exhausters.observe.decision_log import DecisionLog
from exhausters.sweep.cell import EngineSettings
from exhausters.sweep.record import CRASHED, DRAINED, STALLED, TIMEOUT, CellResult
from tests.sweep.samples import a_grid, a_record

_CELL = a_grid().cells[0]
_METRICS = {
    "steps_to_drain": 200,
    "scheduler_cpu_seconds": 0.5,
    "scheduler_cpu_ms_per_step_form_batch": 2.0,
    "scheduler_cpu_ms_per_step_evict": None,
}


def _timed(**changes: Any) -> TimedCell:
    result = a_record(_CELL, **_METRICS).result
    return TimedCell(result=replace(result, **changes), pin_seconds=0.125)


class _Bench:
    """Lends a worker that answers with what is given, one after another, the last one again and again."""

    def __init__(self, *answers: TimedCell | Exception) -> None:
        self._answers: Sequence[TimedCell | Exception] = answers
        self.options: list[Any] = []

    @contextmanager
    def worker(self, _: EngineSettings) -> Iterator[Any]:
        yield SimpleNamespace(facts={"pid": 1, "event_loop": "normal"}, run=self._run)

    def _run(self, _: Any, __: Any, ___: Any, options: Any, **____: Any) -> TimedCell:
        found = self._answers[min(len(self.options), len(self._answers) - 1)]
        self.options.append(options)
        if isinstance(found, Exception):
            raise found
        return found


def _measured(*answers: TimedCell | Exception) -> tuple[MeasuredCell, _Bench]:
    bench = _Bench(*answers)
    return MeasuredCell(cast(Bench, bench), _CELL), bench


def test_a_round_is_run_when_it_is_first_asked_for() -> None:
    """Every phase of a round is of one run; the counted pass alone counts, and it is no round."""
    cell, bench = _measured(_timed())
    assert [one.count_work for one in bench.options] == [True]
    values = [cell.seconds(phase, 1) for phase in (DRAIN, FORM_BATCH, EVICT, PIN)]
    assert values == pytest.approx([0.5, 2.0 * 200 / 1e3, 0.0, 0.125])
    assert [one.count_work for one in bench.options] == [True, False, False]
    assert cell.facts == {"event_loop": "normal"}


def test_a_round_that_decides_differently_ends_the_cell() -> None:
    """Times of other decisions are times of other work: the cell is no longer drained, and says why."""
    other = DecisionLog((*_timed().result.log.steps, *_timed().result.log.steps))
    cell, bench = _measured(_timed(), _timed(), _timed(log=other))
    assert cell.seconds(DRAIN, 5) == 0.0
    assert len(bench.options) == 3
    assert cell.result.outcome == CRASHED
    assert "round 2" in cell.result.reason
    assert cell.samples() == {}


def test_a_round_that_does_not_drain_ends_the_cell() -> None:
    """Its outcome is that of the cell, and no further round is run."""
    cell, bench = _measured(_timed(), _timed(outcome=STALLED, reason="nothing moved"))
    assert cell.seconds(DRAIN, 3) == 0.0
    assert (cell.result.outcome, cell.result.reason) == (STALLED, "nothing moved")
    assert len(bench.options) == 2


def test_a_worker_that_hangs_is_an_outcome() -> None:
    """What a worker raises becomes a result with its reason, and nothing is timed."""
    cell, bench = _measured(WorkerHungError("no answer"))
    assert not cell.is_drained
    assert (cell.result.outcome, cell.seconds(PIN, 0)) == (TIMEOUT, 0.0)
    assert len(bench.options) == 1


def test_host_time_is_the_median_of_the_rounds() -> None:
    """Exact metrics are those of the counted pass; a metric that a round lacks has no samples."""
    slow = _timed(metrics={**_METRICS, "scheduler_cpu_seconds": 9.0})
    quick = _timed(metrics={**_METRICS, "scheduler_cpu_seconds": 0.25})
    cell, _ = _measured(slow, quick, _timed(), slow)
    assert cell.samples() == {}
    cell.seconds(DRAIN, 2)
    assert cell.samples()["scheduler_cpu_seconds"] == [0.25, 0.5, 9.0]
    assert cell.metrics()["scheduler_cpu_seconds"] == 0.5
    assert cell.metrics()["steps_to_drain"] == 200
    assert "scheduler_cpu_ms_per_step_evict" not in cell.samples()


def test_a_script_times_itself_on_a_lent_worker() -> None:
    """Each call runs it once, with the size given."""
    asked: list[int] = []

    @contextmanager
    def worker(_: EngineSettings) -> Iterator[Any]:
        def run(script: Any, size: int) -> Timed:
            asked.append(size)
            return Timed(seconds=size / 2)

        yield SimpleNamespace(run=run)

    once = repeat(cast(Bench, SimpleNamespace(worker=worker)), EngineSettings(), len, 64)
    assert [once().seconds, once().seconds] == [32.0, 32.0]
    assert asked == [64, 64]


def test_a_drained_cell_is_what_a_sweep_would_record() -> None:
    """Without a round the counted pass stands as it is."""
    cell, _ = _measured(_timed())
    assert isinstance(cell.result, CellResult)
    assert cell.result.outcome == DRAINED
