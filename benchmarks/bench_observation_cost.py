"""What observing a run costs: CPU time of the observed loop over that of the bare one.

    python -m benchmarks.bench_observation_cost [--target TARGET] [--workload ...] [--rounds N]

One booted worker drives the same requests, all sent at the start, in turn bare, observed, judged, judged,
observed, bare. The judged loop is the observed one with the oracles of `exhausters check` beside it.
The bare loop has the hook and the scripted context and nothing else; the observed one has what the first pass
of a cell has: recorder, phases and CPU timer. The counted loop, as the second pass of a cell has it, runs
once per round. A second worker has the canary model: its bare and judged loops take turns with the bare loop
of the first. Everything on the scheduler's thread is counted, the harness's own code included. Fails when a
median ratio is above its limit; the canary has none.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Generator
from typing import Any

WORKLOADS = ("shared_prefix:requests=200", "retraction_storm:requests=96")
BARE, OBSERVED, JUDGED, COUNTED = "bare", "observed", "judged", "counted"
_ORDER = (BARE, OBSERVED, JUDGED, JUDGED, OBSERVED, BARE, COUNTED)
_MAX_STEPS = 50_000
# About 1.06 to 1.11 and 3.5 on two shared cores.
LIMIT_OBSERVED, LIMIT_COUNTED = 1.3, 7.0
# Of the judged loop over the observed one: the oracles may cost a tenth of a plain run.
LIMIT_JUDGED = 1.1


def drive(context: Any, workload: Any, kind: str) -> Generator[None, None, tuple[int, int, str]]:
    """Run a workload in one of the four ways; return CPU nanoseconds, steps, and a digest when observed."""
    from exhausters.engine.clock import real_thread_time_ns
    from exhausters.observe.forward_time import LinearForwardTime
    from exhausters.observe.host_time import HostTimer
    from exhausters.observe.phases import PhaseSwitch
    from exhausters.observe.recorder import Recorder
    from exhausters.observe.work import WorkCounter
    from exhausters.oracles import Judge
    from exhausters.sweep.feeder import Feeder

    for request in workload.warmup_requests:
        context.submit_request(request)
    yield from _until_idle(context, None)
    recorder = counter = judge = None
    if kind != BARE:
        recorder = Recorder(
            engine=context.engine,
            clock=context.clock,
            pressure=context.pressure,
            forward_time=LinearForwardTime(),
            spool_path=context.spool_path,
        )
        recorder.start()
        counter = WorkCounter() if kind == COUNTED else None
        if counter is not None:
            counter.start()
        context.phases = PhaseSwitch(context.engine, counter or HostTimer())
        context.observers.append(recorder)
        if kind == JUDGED:
            judge = Judge(
                engine=context.engine,
                pressure=context.pressure,
                recorder=recorder,
                requests=Feeder(context, workload.requests, recorder),
                text=context.text,
            )
            judge.start()
            context.observers.append(judge)
    try:
        for request in workload.requests:
            context.submit_request(request)
        started_ns = real_thread_time_ns()
        steps = yield from _until_idle(context, context.phases)
        spent_ns = real_thread_time_ns() - started_ns
    finally:
        if context.phases is not None:
            context.phases.remove()
            context.phases = None
        if counter is not None:
            counter.stop()
        if judge is not None:
            judge.stop()
        if recorder is not None:
            recorder.stop()
        context.observers.clear()
    return spent_ns, steps, recorder.log.digest if recorder is not None else ""


def _until_idle(context: Any, phases: Any) -> Generator[None, None, int]:
    for step in range(1, _MAX_STEPS):
        if phases is not None:
            phases.resume()
        yield
        if context.is_fully_idle and not context.has_unreceived:
            return step
    raise RuntimeError(f"not idle within {_MAX_STEPS} steps")


def measure(host: Any, workload: Any, *, rounds: int) -> dict[str, list[tuple[int, int, str]]]:
    """Return what `drive` measured, by kind, in the order of the runs; one round before them warms up."""
    measured: dict[str, list[tuple[int, int, str]]] = {kind: [] for kind in (BARE, OBSERVED, JUDGED, COUNTED)}
    for number in range(rounds + 1):
        for kind in _ORDER:
            one = host.run(drive, workload, kind)
            if number:
                measured[kind].append(one)
    steps = {one[1] for runs in measured.values() for one in runs}
    if len(steps) != 1:
        raise RuntimeError(f"the loops did not take the same steps: {sorted(steps)}")
    return measured


def canary_ratios(dense: Any, canary: Any, workload: Any, *, rounds: int) -> tuple[float, float]:
    """CPU time of the canary's bare loop over the dense model's, and of its judged loop over its bare one."""
    bare, judged = [], []
    for number in range(rounds + 1):
        plain = [dense.run(drive, workload, BARE)[0]]
        own = [canary.run(drive, workload, BARE)[0]]
        seen = [canary.run(drive, workload, JUDGED)[0] for _ in range(2)]
        own.append(canary.run(drive, workload, BARE)[0])
        plain.append(dense.run(drive, workload, BARE)[0])
        if number:  # the first round warms up
            bare.append(sum(own) / sum(plain))
            judged.append(sum(seen) / sum(own))
    return statistics.median(bare), statistics.median(judged)


def ratios(
    measured: dict[str, list[tuple[int, int, str]]], *, of: str = OBSERVED, over: str = BARE
) -> list[float]:
    """CPU time of one loop over that of another, one ratio per round of two runs each."""
    bare = [one[0] for one in measured[over]]
    observed = [one[0] for one in measured[of]]
    return [sum(observed[i : i + 2]) / sum(bare[i : i + 2]) for i in range(0, len(bare), 2)]


def main() -> int:
    """Print one line per workload; 1 when a ratio is above its limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--target", default="")
    parser.add_argument("--workload", action="append")
    parser.add_argument("--rounds", type=int, default=8)
    options = parser.parse_args()

    from exhausters.sweep.cell import EngineSettings
    from exhausters.sweep.workers import boot
    from exhausters.targets import NEWEST_RELEASE, prepare
    from exhausters.workloads import parse_workload

    print(
        "| workload | steps | bare (ms per step) | observed / bare | lowest to highest | judged / observed "
        "| counted / bare | canary / dense | judged canary / canary |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    target = prepare(options.target or f"release:{NEWEST_RELEASE}")
    is_within = True
    with boot(target, EngineSettings()) as host, boot(target, EngineSettings(model="canary")) as canary:
        for name in options.workload or WORKLOADS:
            workload = parse_workload(name)
            measured = measure(host, workload, rounds=options.rounds)
            steps = measured[BARE][0][1]
            bare_ns = statistics.median(one[0] for one in measured[BARE])
            counted_ns = statistics.median(one[0] for one in measured[COUNTED])
            each = sorted(ratios(measured))
            observed, counted = statistics.median(each), counted_ns / bare_ns
            judged = statistics.median(ratios(measured, of=JUDGED, over=OBSERVED))
            text, text_judged = canary_ratios(host, canary, workload, rounds=options.rounds)
            print(
                f"| {name} | {steps} | {bare_ns / steps / 1e6:.3f} | {observed:.3f} "
                f"| {each[0]:.3f} to {each[-1]:.3f} | {judged:.3f} | {counted:.1f} "
                f"| {text:.3f} | {text_judged:.3f} |",
                flush=True,
            )
            is_within = is_within and observed <= LIMIT_OBSERVED and counted <= LIMIT_COUNTED
            is_within = is_within and judged <= LIMIT_JUDGED
    print(f"limits of the medians: {LIMIT_OBSERVED}, {LIMIT_JUDGED} and {LIMIT_COUNTED}")
    return 0 if is_within else 1


if __name__ == "__main__":
    sys.exit(main())
