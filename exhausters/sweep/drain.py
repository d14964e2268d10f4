"""The script of a cell, run inside the worker: one or more passes over its workload.

Every pass starts from a reset engine and takes the same decisions; they differ in what is measured beside.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import replace
from functools import partial

from exhausters.errors import ScriptFailedError
from exhausters.observe.executed_lines import ExecutedLines
from exhausters.observe.executed_source import executed_source
from exhausters.observe.host_copy_time import HostCopyTime
from exhausters.observe.host_time import HostTimer, host_metrics
from exhausters.observe.phases import PhaseListener, PhaseSwitch, Unmeasured
from exhausters.observe.recorder import Recorder
from exhausters.observe.step_record import IDLE
from exhausters.observe.summary import summarize
from exhausters.observe.work import WorkCounter, work_metrics
from exhausters.oracles import Judge
from exhausters.oracles.liveness import steps_to_drain
from exhausters.oracles.rounds import merged
from exhausters.scripted.context import ScriptedContext
from exhausters.scripted.judged_run import knock
from exhausters.scripted.reset import reset_engine
from exhausters.sweep.cell import Cell
from exhausters.sweep.facts import planned_facts
from exhausters.sweep.feeder import Feeder
from exhausters.sweep.rank_results import facts_of_rank, with_ranks
from exhausters.sweep.record import (
    ABORTED,
    DRAINED,
    EVENT_STEPS,
    LEFT_MARKED_FULL,
    STALLED,
    STALLED_BY,
    TIMEOUT,
    CellResult,
)
from exhausters.sweep.rounds import run_rounds
from exhausters.sweep.run_options import (
    CHECKED,
    COUNTED,
    DECIDE,
    IN_ROUNDS,
    LINES,
    TIMED,
    DrainLimits,
    RunOptions,
)
from exhausters.sweep.transferring import is_transferring, stalled_transfers, transfer_steps
from exhausters.workloads import Workload

# A pass in which torch met an operator for the first time is counted again; one more is enough.
_COUNT_ATTEMPTS = 3

_PassScript = Callable[..., Generator[None, None, CellResult]]


def run_cell(
    context: ScriptedContext, cell: Cell, workload: Workload, options: RunOptions | None = None
) -> Generator[None, None, CellResult]:
    """Run one cell and return its result; every way a run can end is an outcome, not an exception.

    By default the first pass takes decisions, modelled time and host time; the second counts work, because
    counting slows the loop. All start from a reset engine, so all must decide the same: with several passes,
    `repeatable` in the provenance says whether they did.

    Raises:
        ScriptFailedError: the warm-up, which runs without pressure, did not drain.
        PressureError: an exhauster could not take its level.
        ConservationError: pages or rows did not add up after a step.
    """
    options = options or RunOptions()
    result: CellResult | None = None
    for name in options.wanted_passes:
        if result is not None:
            context.salvage = partial(_kept, result)
            yield from _begin_again(context)
        found = yield from _PASS_SCRIPTS[name](context, cell, workload, options)
        result = found if result is None else joined(result, found)
    assert result is not None, "options without a pass"
    return result


def joined(result: CellResult, later: CellResult) -> CellResult:
    """Return the result with what a later pass over the same cell measured beside."""
    same_log = result.log.digest == later.log.digest and result.rank_logs == later.rank_logs
    repeatable = result.provenance.get("repeatable", True) and same_log
    return replace(
        result,
        metrics={**later.metrics, **result.metrics},
        provenance={**result.provenance, "repeatable": repeatable},
        executed=result.executed or later.executed,
        judgement=merged(result.judgement, later.judgement),
    )


def _kept(result: CellResult) -> CellResult:
    return result


def _begin_again(context: ScriptedContext) -> Generator[None, None, None]:
    yield from reset_engine(context)
    context.begin_script()


def _decide(
    context: ScriptedContext, cell: Cell, workload: Workload, options: RunOptions
) -> Generator[None, None, CellResult]:
    return (yield from one_pass(context, cell, workload, options, Unmeasured()))


def _time(
    context: ScriptedContext, cell: Cell, workload: Workload, options: RunOptions
) -> Generator[None, None, CellResult]:
    timer = HostTimer()
    timed = yield from one_pass(context, cell, workload, options, timer)
    return replace(timed, metrics={**timed.metrics, **host_metrics(timer, timed.metrics)})


def _count(
    context: ScriptedContext, cell: Cell, workload: Workload, options: RunOptions
) -> Generator[None, None, CellResult]:
    # What a worker makes only once (caches, lazy imports) would be counted in a cell's first run.
    if cell.id not in context.cells_run:
        yield from _decide(context, cell, workload, options)
        yield from _begin_again(context)
    for attempt in range(_COUNT_ATTEMPTS):
        if attempt:
            yield from _begin_again(context)
        counter = WorkCounter()
        counter.start()
        try:
            result = yield from one_pass(context, cell, workload, options, counter)
        finally:
            counter.stop()
        if not counter.is_cold:
            break
    return replace(result, metrics={**result.metrics, **work_metrics(counter, steps=len(result.log))})


def _record_lines(
    context: ScriptedContext, cell: Cell, workload: Workload, options: RunOptions
) -> Generator[None, None, CellResult]:
    folders = context.engine.source_folders()
    files = [f"{folders.root.rstrip('/')}/{file}" for file in options.line_files]
    lines = ExecutedLines([folders.watched], files=files)
    try:
        result = yield from one_pass(context, cell, workload, options, lines)
    finally:
        lines.leave()
    return replace(result, executed=executed_source(lines.by_file(), root=folders.root))


def _check(
    context: ScriptedContext, cell: Cell, workload: Workload, options: RunOptions
) -> Generator[None, None, CellResult]:
    return (yield from one_pass(context, cell, workload, options, Unmeasured(), judged=True))


def _in_rounds(
    context: ScriptedContext, cell: Cell, workload: Workload, options: RunOptions
) -> Generator[None, None, CellResult]:
    def run_once(round_of: Workload) -> Generator[None, None, CellResult]:
        # Judged, so that pages that are lost end no round; what the oracles say is that of another pass.
        result = yield from one_pass(context, cell, round_of, options, Unmeasured(), judged=True)
        yield from _begin_again(context)
        return result

    return (yield from run_rounds(workload, run_once))


_PASS_SCRIPTS: Mapping[str, _PassScript] = {
    DECIDE: _decide,
    TIMED: _time,
    COUNTED: _count,
    LINES: _record_lines,
    CHECKED: _check,
    IN_ROUNDS: _in_rounds,
}


def one_pass(
    context: ScriptedContext,
    cell: Cell,
    workload: Workload,
    options: RunOptions,
    listener: PhaseListener,
    *,
    judged: bool = False,
) -> Generator[None, None, CellResult]:
    """Warm up, take, submit, drain, give back; `listener` is told of the phases of each measured step.

    With `judged` the oracles look at each step, and a run that ended before its requests did goes on without
    pressure until it has drained, or a bound has passed.

    Raises:
        ScriptFailedError, PressureError, ConservationError: as `run_cell`.
    """
    yield from warm_up(context, workload, options.limits)
    context.apply_pressure(cell.levels)
    recorder = Recorder(
        engine=context.engine,
        clock=context.clock,
        pressure=context.pressure,
        forward_time=options.forward_time,
        spool_path=context.spool_path,
        raises=not judged,
        ranks=context.ranks,
    )
    feeder = Feeder(context, workload.requests, recorder)
    judge = _judge(context, recorder, feeder) if judged else None
    if context.salvage is None:  # else an earlier pass has all there is to lose
        context.salvage = lambda: _with_judgement(
            _result(context, cell, workload, options, recorder, feeder, ("", "")), judge
        )
    try:
        recorder.start()
        context.phases = PhaseSwitch(context.engine, listener)
        context.observers.append(recorder)
        if judge is not None:
            judge.start()
            context.observers.append(judge)
        ended = yield from _drain(context, feeder, recorder, options.limits)
        # Seen here, before a reset takes the mark off. On a batch that runs it is no news.
        is_marked = context.engine.is_fully_idle() and context.engine.is_marked_full()
        stalled_by = stalled_transfers(context.engine)[1] if ended[0] == STALLED else ""
        if judge is not None:
            yield from _drain_released(context, cell, feeder, recorder, judge)
    finally:
        if judge is not None:
            judge.stop()
        if context.phases is not None:
            context.phases.remove()
        context.phases = None
        recorder.stop()
        context.observers.clear()
    context.release_pressure()
    context.cells_run.add(cell.id)
    result = _result(context, cell, workload, options, recorder, feeder, ended)
    if is_marked:
        result = replace(result, provenance={**result.provenance, LEFT_MARKED_FULL: True})
    if stalled_by:
        result = replace(result, provenance={**result.provenance, STALLED_BY: stalled_by})
    return _with_judgement(result, judge)


def _with_judgement(result: CellResult, judge: Judge | None) -> CellResult:
    return result if judge is None else replace(result, judgement=judge.judgement)


def _judge(context: ScriptedContext, recorder: Recorder, feeder: Feeder) -> Judge:
    return Judge(
        engine=context.engine,
        pressure=context.pressure,
        recorder=recorder,
        requests=feeder,
        text=context.text,
        on_unbalanced=context.tolerate_unbalanced,
    )


def _drain_released(
    context: ScriptedContext, cell: Cell, feeder: Feeder, recorder: Recorder, judge: Judge
) -> Generator[None, None, None]:
    """Release all pressure; what is left must drain within its bound."""
    context.release_pressure()
    transfers = context.engine.transfers
    if transfers is not None:
        transfers.let_all_go()
    released = recorder.step_count
    # What a transfer takes comes on top: counted as outputs, one a step.
    remaining = [
        (one.prompt_tokens, one.output_tokens + transfer_steps(one)) for one in feeder.unfinished_requests
    ]
    bound = steps_to_drain(remaining, chunk_tokens=cell.engine.chunked_prefill_size)
    if not (context.is_fully_idle and feeder.is_done):
        limits = DrainLimits(stall_steps=bound, max_steps=released + bound)
        outcome, _ = yield from _drain(context, feeder, recorder, limits)
        if outcome in (STALLED, TIMEOUT):
            judge.stuck(bound_steps=bound, released_step=released)
            return
    judge.drained()
    if context.engine.is_marked_full():
        yield from knock(context, judge)


def _result(
    context: ScriptedContext,
    cell: Cell,
    workload: Workload,
    options: RunOptions,
    recorder: Recorder,
    feeder: Feeder,
    ended: tuple[str, str],
) -> CellResult:
    outcome, reason = ended
    log = recorder.log
    planned = planned_facts(cell, workload, goodput=options.goodput, text=context.text)
    facts = every = replace(
        planned,
        submitted_steps=feeder.submitted_steps,
        arrival_ns=feeder.arrival_ns,
        wanted_outputs=feeder.owed_outputs,
        shortened_outputs=feeder.shortened_outputs,
    )
    if context.ranks is not None:
        facts = facts_of_rank(facts, 0, context.ranks)
    result = CellResult(
        outcome=outcome,
        reason=reason,
        log=log,
        metrics=summarize(log, facts),
        provenance={
            "forward_time_model": options.forward_time.name,
            "workload_digest": workload.digest,
            "workload_source": dict(workload.source),
            **({} if context.engine.host_pool is None else {"host_copy_model": HostCopyTime().name}),
            **_events(feeder),
        },
        facts=facts.without_sequences(),
    )
    return result if context.ranks is None else with_ranks(result, recorder, every, context.ranks)


def _events(feeder: Feeder) -> dict[str, object]:
    events = feeder.events
    return {"events": dict(events.counts), EVENT_STEPS: list(events.acts)} if events.counts else {}


def warm_up(context: ScriptedContext, workload: Workload, limits: DrainLimits) -> Generator[None, None, None]:
    """Run the requests of the warm-up to their end; raises ScriptFailedError when they do not drain."""
    for request in workload.warmup_requests:
        context.submit_request(request)
    for _ in range(limits.max_steps):
        yield
        if context.is_fully_idle and not context.has_unreceived:
            return
    raise ScriptFailedError(f"the warm-up of {workload.name!r} did not drain within {limits.max_steps} steps")


def _drain(
    context: ScriptedContext, feeder: Feeder, recorder: Recorder, limits: DrainLimits
) -> Generator[None, None, tuple[str, str]]:
    phases = context.phases
    assert phases is not None, "the phases are wrapped before a run is drained"
    idle_steps = 0
    while True:
        feeder.submit_due()
        phases.resume()
        yield
        feeder.read_limits()
        feeder.events.after_step(feeder.wanted_outputs)
        if context.is_fully_idle and not context.has_unreceived and not feeder.events.is_paused:
            idle_steps = 0
            if feeder.is_done:
                return _ended(feeder, recorder)
            feeder.skip_to_next_arrival()
            continue
        is_idle = recorder.last_mode == IDLE and not is_transferring(context.engine)
        idle_steps = idle_steps + 1 if is_idle else 0
        if idle_steps >= limits.stall_steps:
            return STALLED, _stall_reason(context, idle_steps)
        if recorder.step_count >= limits.max_steps:
            return TIMEOUT, f"not drained within {limits.max_steps} steps"


def _ended(feeder: Feeder, recorder: Recorder) -> tuple[str, str]:
    short = feeder.unfinished_rids
    if not short:
        return DRAINED, ""
    named = ", ".join(short[:3]) + (", …" if len(short) > 3 else "")
    lost = len(recorder.failed_transfers.intersection(short))
    why = f", {lost} because their transfer failed" if lost else ""
    return ABORTED, f"SGLang ended {len(short)} requests before all their tokens were emitted{why}: {named}"


def _stall_reason(context: ScriptedContext, idle_steps: int) -> str:
    stats = context.engine_stats()
    waiting = context.engine.waiting_rids()
    first = f" (first: {waiting[0]})" if waiting else ""
    transferring, _ = stalled_transfers(context.engine)
    return (
        f"no forward for {idle_steps} steps while {len(waiting)} requests wait{first}{transferring}; "
        f"{stats['kv_pool_free']} KV tokens and {stats['req_pool_free']} rows were free; "
        f"held by pressure: {context.pressure.holdings()}"
    )
