"""The script of a cell, on the fake scheduler: every way a run can end is an outcome."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from exhausters.errors import AllocationShortError, ScriptFailedError, UsageError
from exhausters.observe.forward_time import ConstantForwardTime, ForwardTimeModel, LinearForwardTime
from exhausters.pressure.levels import PressureLevels
from exhausters.sweep.cell import Cell
from exhausters.sweep.drain import run_cell
from exhausters.sweep.record import ABORTED, DRAINED, STALLED, TIMEOUT, CellResult
from exhausters.sweep.run_options import DECIDE, LINES, TIMED, DrainLimits, RunOptions
from exhausters.workloads import Request, Segment, Workload, parse_workload
from tests.fakes.fake_engine import ScriptRunner


def _request(rid: str, *, prompt: int = 64, outputs: int = 20, **more: Any) -> Request:
    return Request(
        rid=rid,
        arrival_seconds=more.pop("at", 0.0),
        prompt=(Segment(seed=7, length=prompt),),
        max_new_tokens=outputs,
        **more,
    )


def _workload(*requests: Request, warmup: tuple[Request, ...] = ()) -> Workload:
    return Workload(name="mine", requests=requests, warmup_requests=warmup)


_TWO = _workload(_request("a"), _request("b", at=0.01), warmup=(_request("w", outputs=1),))


def _run(
    workload: Workload = _TWO,
    *,
    engine: ScriptRunner | None = None,
    limits: DrainLimits | None = None,
    model: ForwardTimeModel | None = None,
    **levels: Any,
) -> CellResult:
    cell = Cell(workload="mine", levels=PressureLevels(**levels))
    options = RunOptions(
        forward_time=model or LinearForwardTime(), limits=limits or DrainLimits(), count_work=False
    )
    result: CellResult = (engine or ScriptRunner()).run(run_cell, cell, workload, options)
    return result


def _assert_clean(engine: ScriptRunner) -> None:
    """Nothing is held and nothing is wrapped."""
    assert engine.hook is not None
    assert engine.hook.context.pressure.holdings().held_tokens == 0
    assert engine.hook.context.pressure.holdings().held_rows == 0
    assert engine.hook.context.observers == []
    for point in engine.engine.phase_points():
        assert point.name not in vars(point.owner)


def test_drained() -> None:
    """A run in which every request emits all its tokens is drained, and the warm-up is not in its numbers."""
    engine = ScriptRunner()
    result = _run(engine=engine)
    assert (result.outcome, result.reason) == (DRAINED, "")
    assert result.metrics["output_tokens"] == 40
    assert result.metrics["unfinished_requests"] == 0
    assert result.metrics["cache_hit_tokens"] == 48 + 48  # of 64 warm tokens, the last page is computed
    assert result.metrics["steps_to_drain"] == len(result.log)
    assert all("w" not in record.rids for record in result.log)
    assert result.provenance["forward_time_model"] == "linear/1"
    assert result.provenance["workload_digest"] == _TWO.digest
    _assert_clean(engine)


def test_the_same_cell_twice_is_the_same_log() -> None:
    """A run does not depend on what ran before it in the same engine."""
    engine = ScriptRunner()
    first = _run(engine=engine)
    _run(engine=engine, leave_pages=10)
    assert _run(engine=engine).log.digest == first.log.digest == _run().log.digest


def test_no_page_stalls() -> None:
    """With no page left nothing can run: the run ends as stalled after the given number of idle steps."""
    engine = ScriptRunner()
    result = _run(engine=engine, limits=DrainLimits(stall_steps=9), leave_pages=0, held=True)
    assert result.outcome == STALLED
    # The request that arrives 10 ms later comes after ten idle steps of 1 ms.
    assert result.reason.startswith("no forward for 9 steps while 1 requests wait (first: a)")
    assert "0 KV tokens" in result.reason
    assert len(result.log) == 9
    assert result.metrics["unfinished_requests"] == 2
    _assert_clean(engine)


def test_too_many_steps_is_a_timeout() -> None:
    """A run that goes on for longer than allowed is given up."""
    engine = ScriptRunner()
    result = _run(engine=engine, limits=DrainLimits(max_steps=8))
    assert result.outcome == TIMEOUT
    assert result.reason == "not drained within 8 steps"
    assert len(result.log) == 8
    _assert_clean(engine)


def test_a_request_that_cannot_grow_is_aborted() -> None:
    """When SGLang ends a request before its last token, the run is aborted and the request named."""
    engine = ScriptRunner()
    big = _workload(_request("big", prompt=64, outputs=200), _request("small", outputs=2))
    result = _run(big, engine=engine, leave_pages=8)
    assert result.outcome == ABORTED
    assert result.reason.endswith(": big")
    assert result.metrics["unfinished_requests"] == 1
    _assert_clean(engine)


def test_many_aborted_requests_are_not_all_named() -> None:
    """The reason stays short."""
    many = _workload(*[_request(f"r{i}", outputs=300, at=float(i)) for i in range(5)])
    result = _run(many, leave_pages=8)
    assert result.outcome == ABORTED
    assert result.reason.endswith("r0, r1, r2, …")


def test_pressure_that_cannot_be_taken_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exhauster that cannot take its level fails the run as itself, and leaves the engine usable."""
    engine = ScriptRunner()
    monkeypatch.setattr(engine.scheduler.pages, "take", _refuses)
    with pytest.raises(AllocationShortError, match="gave 0 of"):
        _run(engine=engine, leave_pages=0)
    monkeypatch.undo()
    assert _run(engine=engine).outcome == DRAINED
    _assert_clean(engine)


def _refuses(tokens: int) -> Any:
    raise AllocationShortError(
        f"gave 0 of {tokens}", wanted_tokens=tokens, given_tokens=0, available_tokens=tokens
    )


def breaks_allocator_later(t: Any) -> Iterator[None]:
    pool = t.engine.kv_pool
    pages = pool.take(32)
    t.pressure.kv_pool.hold(8)
    yield
    pool.take = _refuses
    pool.give_back(pages)
    yield


def test_held_pressure_that_fails_later_fails_the_script_and_not_the_engine() -> None:
    """A level that cannot be taken again is raised in the script, typed; the next script runs."""
    engine = ScriptRunner()
    with pytest.raises(AllocationShortError):
        engine.run(breaks_allocator_later)
    del engine.scheduler.pages.take  # type: ignore[method-assign]
    assert _run(engine=engine).outcome == DRAINED
    _assert_clean(engine)


def test_a_warm_up_that_does_not_drain_is_an_error() -> None:
    """Without pressure every warm-up drains: if not, no number of the run would mean anything."""
    stuck = _workload(_request("a"), warmup=(_request("w", prompt=9000, outputs=1),))
    with pytest.raises(ScriptFailedError, match="the warm-up of 'mine' did not drain within 5 steps"):
        _run(stuck, limits=DrainLimits(max_steps=5))


def test_the_forward_time_model_is_used_and_named() -> None:
    """Modelled time is that of the model that was given, and the record says which."""
    result = _run(model=ConstantForwardTime(seconds=1.0))
    forwards = sum(record.mode != "idle" for record in result.log)
    assert result.metrics["modelled_seconds"] == pytest.approx(forwards, abs=0.1)
    assert result.provenance["forward_time_model"] == "constant/1"


def test_gaps_between_arrivals_are_skipped() -> None:
    """An hour without a request costs a few steps, not an hour of them."""
    result = _run(_workload(_request("a"), _request("b", at=3600.0)))
    assert result.outcome == DRAINED
    assert len(result.log) < 100


@pytest.mark.parametrize("text", ["shared_prefix", "agents", "retraction_storm", "bursts"])
@pytest.mark.parametrize("levels", [{}, {"leave_pages": 80}, {"leave_refs": 0}, {"leave_rows": 2}])
def test_built_in_workloads_end(text: str, levels: dict[str, int]) -> None:
    """Built-in workloads end with an outcome under any of the levels, and tokens add up when drained."""
    workload = parse_workload(text)
    result = _run(workload, **levels)
    assert result.outcome in (DRAINED, ABORTED, STALLED)
    if result.outcome == DRAINED:
        assert result.metrics["output_tokens"] == sum(r.max_new_tokens for r in workload.requests)
        assert result.metrics["wait_steps_max"] is not None


def _passes(engine: ScriptRunner, *passes: str) -> CellResult:
    cell = Cell(workload="mine")
    result: CellResult = engine.run(run_cell, cell, _TWO, RunOptions(passes=passes))
    return result


def test_a_pass_alone_decides_the_same() -> None:
    """Decisions do not depend on which pass is made; only a timed one has host time."""
    engine = ScriptRunner()
    decided, timed = _passes(engine, DECIDE), _passes(engine, TIMED)
    assert decided.log == timed.log
    assert set(timed.metrics) > set(decided.metrics)
    assert "repeatable" not in decided.provenance
    assert _passes(engine, DECIDE, TIMED).provenance["repeatable"] is True


def test_lines_are_recorded_where_they_are_asked_for() -> None:
    """The lines pass names executed lines and imported files by paths below the engine's source folder."""
    engine = ScriptRunner()
    assert _passes(engine, DECIDE).executed is None
    first, again = _passes(engine, LINES).executed, _passes(engine, LINES).executed
    assert first is not None
    assert first == again  # the event loop's own lines too
    scheduler = "exhausters/engine/fake/scheduler.py"
    assert set(first.lines) <= set(first.imported)
    assert len(first.lines[scheduler]) > 50
    assert list(first.lines[scheduler]) == sorted(first.lines[scheduler])


@pytest.mark.parametrize("passes", [(), ("guessed",)])
def test_unknown_passes_are_refused(passes: tuple[str, ...]) -> None:
    """A run without a pass would measure nothing."""
    with pytest.raises(UsageError, match="expected one or more of decide, timed, counted, lines"):
        RunOptions(passes=passes)
