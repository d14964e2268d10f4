"""The script of a cell, run inside the worker: warm up, take, submit, drain, give back."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any

from exhausters.errors import ScriptFailedError
from exhausters.host.clock import real_thread_time_ns
from exhausters.observe.forward_time import ForwardTimeModel, LinearForwardTime
from exhausters.observe.recorder import Recorder
from exhausters.observe.step_record import IDLE
from exhausters.observe.summary import RunFacts, summarize
from exhausters.scripted.context import ScriptedContext
from exhausters.sweep.cell import Cell
from exhausters.sweep.feeder import Feeder
from exhausters.sweep.record import ABORTED, DRAINED, STALLED, TIMEOUT, CellResult
from exhausters.workloads import Workload

# A scheduler that can run something does so within a step or two; waiting requests and this many steps
# without a forward are a livelock.
STALL_STEPS = 64
MAX_STEPS = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainLimits:
    """When a run is given up.

    Attributes:
        stall_steps: steps in a row without a forward, while requests wait.
        max_steps: steps in all.
    """

    stall_steps: int = STALL_STEPS
    max_steps: int = MAX_STEPS


def run_cell(
    context: ScriptedContext,
    cell: Cell,
    workload: Workload,
    forward_time: ForwardTimeModel | None = None,
    limits: DrainLimits | None = None,
) -> Generator[None, None, CellResult]:
    """Run one cell and return its result; every way a run can end is an outcome, not an exception.

    Raises:
        ScriptFailedError: the warm-up, which runs without pressure, did not drain.
        PressureError: an exhauster could not take its level.
    """
    limits = limits or DrainLimits()
    model = forward_time or LinearForwardTime()
    yield from _warm_up(context, workload, limits)
    context.apply_pressure(cell.levels)
    recorder = Recorder(
        scheduler=context.scheduler, clock=context.clock, pressure=context.pressure, forward_time=model
    )
    feeder = Feeder(context, workload.requests, recorder)
    recorder.start()
    context.observers.append(recorder)
    started_ns = real_thread_time_ns()
    try:
        outcome, reason = yield from _drain(context, feeder, recorder, limits)
    finally:
        cpu_ns = real_thread_time_ns() - started_ns
        recorder.stop()
        context.observers.clear()
    context.release_pressure()
    facts = RunFacts(
        chunk_budget_tokens=cell.engine.chunked_prefill_size
        if cell.engine.chunked_prefill_size > 0
        else None,
        submitted_steps=feeder.submitted_steps,
        wanted_outputs={request.rid: request.max_new_tokens for request in workload.requests},
    )
    metrics = summarize(recorder.log, facts)
    metrics.update(_host_metrics(metrics, cpu_ns))
    return CellResult(
        outcome=outcome,
        reason=reason,
        log=recorder.log,
        metrics=metrics,
        provenance={"forward_time_model": model.name, "workload_digest": workload.digest},
    )


def _warm_up(
    context: ScriptedContext, workload: Workload, limits: DrainLimits
) -> Generator[None, None, None]:
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
    idle_steps = 0
    while True:
        feeder.submit_due()
        yield
        if context.is_fully_idle and not context.has_unreceived:
            idle_steps = 0
            if feeder.is_done:
                return _ended(feeder)
            feeder.skip_to_next_arrival()
            continue
        idle_steps = idle_steps + 1 if recorder.last_mode == IDLE else 0
        if idle_steps >= limits.stall_steps:
            return STALLED, _stall_reason(context, idle_steps)
        if recorder.step_count >= limits.max_steps:
            return TIMEOUT, f"not drained within {limits.max_steps} steps"


def _ended(feeder: Feeder) -> tuple[str, str]:
    short = feeder.unfinished_rids
    if not short:
        return DRAINED, ""
    named = ", ".join(short[:3]) + (", …" if len(short) > 3 else "")
    return ABORTED, f"SGLang ended {len(short)} requests before all their tokens were emitted: {named}"


def _stall_reason(context: ScriptedContext, idle_steps: int) -> str:
    scheduler = context.scheduler
    stats = context.engine_stats()
    waiting = [req.rid for req in scheduler.waiting_queue]
    first = f" (first: {waiting[0]})" if waiting else ""
    return (
        f"no forward for {idle_steps} steps while {len(waiting)} requests wait{first}; "
        f"{stats['kv_pool_free']} KV tokens and {stats['req_pool_free']} rows were free"
    )


def _host_metrics(metrics: Mapping[str, Any], cpu_ns: int) -> dict[str, float | None]:
    seconds = cpu_ns / 1e9
    steps = metrics["steps_to_drain"]
    return {
        "scheduler_cpu_seconds": seconds,
        "scheduler_cpu_ms_per_step": seconds * 1e3 / steps if steps else None,
        "prefill_tokens_per_cpu_second": metrics["prefill_tokens"] / seconds if seconds else None,
    }
