"""The passes of a cell on fake engines: which are repeated, and what waits for the other of a pair."""

from __future__ import annotations

from typing import Any

import pytest

from exhausters.engine.api import DECODE_ROLE
from exhausters.errors import SeamError
from exhausters.observe.work import WorkCounter
from exhausters.sweep import drain
from exhausters.sweep.cell import Cell
from exhausters.sweep.drain import run_cell
from exhausters.sweep.record import DRAINED, STALLED, STALLED_BY, CellResult
from exhausters.sweep.run_options import CHECKED, COUNTED, DECIDE, DrainLimits, RunOptions
from exhausters.worker.protocol import RunScript, ScriptSucceeded
from exhausters.worker.script_ref import script_ref
from exhausters.workloads import Request, Segment, Transfer, Workload
from exhausters.workloads.transfer import STALLS
from tests.fakes.fake_engine import ScriptRunner
from tests.fakes.fake_pair import PairedRunner


def _workload(transfer: Transfer | None = None) -> Workload:
    prompt = (Segment(seed=7, length=64),)
    one = Request(rid="a", arrival_seconds=0.0, prompt=prompt, max_new_tokens=20, transfer=transfer)
    return Workload(name="mine", requests=(one,), warmup_requests=())


_PLAIN = _workload()


def _run(engine: ScriptRunner, *passes: str, workload: Workload = _PLAIN) -> CellResult:
    options = RunOptions(passes=passes, limits=DrainLimits(stall_steps=5))
    result: CellResult = engine.run(run_cell, Cell(workload="mine"), workload, options)
    return result


def _counters(monkeypatch: pytest.MonkeyPatch, *are_cold: bool) -> list[Any]:
    """Counters without operators, which say in turn whether they met something for the first time."""
    made: list[Any] = []

    class _Counter(WorkCounter):
        def __init__(self) -> None:
            super().__init__()
            self.log: list[str] = []
            made.append(self)
            self._is_cold = are_cold[len(made) - 1]

        @property
        def is_cold(self) -> bool:
            return self._is_cold

        def start(self) -> None:
            self.log.append("start")

        def stop(self) -> None:
            super().stop()
            self.log.append("stop")

    monkeypatch.setattr(drain, "WorkCounter", _Counter)
    return made


def test_work_is_counted_when_nothing_is_met_for_the_first_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A count in which something was made once for all is taken again, once."""
    made = _counters(monkeypatch, True, False, True)
    counted = _run(ScriptRunner(), COUNTED)
    assert [one.log for one in made] == [["start", "stop"]] * 2
    assert set(counted.metrics) > set(_run(ScriptRunner(), DECIDE).metrics)


def test_a_cell_is_run_once_before_its_work_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a worker makes only once is made by a run before a cell's first count, and by no other."""
    made = _counters(monkeypatch, False, False)
    runs: list[int] = []
    one_pass = drain.one_pass

    def noted(*args: Any, **keywords: Any) -> Any:
        runs.append(len(made))
        return one_pass(*args, **keywords)

    monkeypatch.setattr(drain, "one_pass", noted)
    options = RunOptions(passes=(COUNTED,))
    message = RunScript(script=script_ref(run_cell), args=(Cell(workload="mine"), _PLAIN, options))
    first, again = ScriptRunner().serve([message, message])
    assert runs == [0, 1, 2]
    assert isinstance(first, ScriptSucceeded)
    assert isinstance(again, ScriptSucceeded)
    assert first.value.log == again.value.log


def test_a_count_is_given_up_when_everything_is_always_new(monkeypatch: pytest.MonkeyPatch) -> None:
    """A build that meets something new in every run is counted all the same, after a few attempts."""
    made = _counters(monkeypatch, *[True] * 20)
    assert _run(ScriptRunner(), COUNTED).outcome == DRAINED
    assert 1 < len(made) < 20


def test_a_run_that_cannot_be_watched_fails_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the engine lacks what is watched, the run fails with that, and the next one begins as usual."""
    engine = ScriptRunner()
    monkeypatch.delattr(type(engine.scheduler), "retract")
    with pytest.raises(SeamError, match="retract"):
        _run(engine, DECIDE)
    monkeypatch.undo()
    assert _run(engine, DECIDE).outcome == DRAINED
    assert engine.hook is not None
    assert engine.hook.context.observers == []


_STALLING = _workload(Transfer(steps=0, fate=STALLS))


def test_a_run_that_waits_for_a_transfer_says_so() -> None:
    """A run that waits for the other engine of a pair is no stall of the scheduler: its record says so."""
    result = _run(PairedRunner(DECODE_ROLE), DECIDE, workload=_STALLING)
    assert result.outcome == STALLED
    assert "1 of them stalled by the transfer engine (first: a)" in result.reason
    assert result.provenance[STALLED_BY] == "transfer"


def test_a_judged_run_lets_transfers_go_before_it_drains() -> None:
    """The oracles ask for a drain without pressure: a transfer that stalls on purpose is none of theirs."""
    result = _run(PairedRunner(DECODE_ROLE), CHECKED, workload=_STALLING)
    assert result.outcome == STALLED
    assert result.metrics["output_tokens"] == 20
    assert result.judgement is not None
    assert result.judgement.findings == ()
