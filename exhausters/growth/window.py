"""The script of one point, run inside the worker: set one size up, hold it, and measure some steps.

Only the steps of the window are measured: what it takes to come there (prefill, filling the tree) is no part
of a number. Each way of measuring has a window of its own, since counting slows the loop.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass

from exhausters.errors import ScriptFailedError, UsageError
from exhausters.growth.axes import CONTEXT, QUEUE, TREE, Point
from exhausters.growth.window_work import WindowWork, work_of
from exhausters.observe.allocated import AllocationMeter, allocation_metrics
from exhausters.observe.executed_lines import ExecutedLines
from exhausters.observe.forward_time import LinearForwardTime
from exhausters.observe.host_time import HostTimer
from exhausters.observe.phases import PhaseListener, PhaseSwitch, Unmeasured
from exhausters.observe.recorder import Recorder
from exhausters.observe.work import WorkCounter
from exhausters.scripted.context import ScriptedContext
from exhausters.scripted.reset import reset_engine
from exhausters.workloads import Request, Segment

# SGLang does some things every 40th step; a window of 80 has two of each wherever it begins.
WINDOW_STEPS = 80
_SETTLE_STEPS = 8
_SETUP_STEPS_MAX = 4_096
_COUNT_ATTEMPTS = 3

_CONTEXT_REQUESTS = 4
_QUEUED_TOKENS = 64
_ADMITTED_AT_ONCE = 2  # request rows that are left free
LEAF_TOKENS = 32
_FREE_PAGES = 4  # less than two prompts need

TIME, COUNT, LINES, ALLOCATIONS = "time", "count", "lines", "allocations"
EXACT_PASSES = (COUNT, LINES, ALLOCATIONS)
# Metrics, per step of the window.
CPU_TIME = "scheduler_cpu_ms_per_step"
EXACT_METRICS = (
    "python_calls_per_step",
    "c_calls_per_step",
    "executed_lines_per_step",
    "python_bytes_per_step",
    "tensor_bytes_per_step",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """All three sizes at one instant.

    Attributes:
        context_tokens: most tokens that a request with a running batch holds.
        waiting: requests in the queue.
        nodes: nodes of the tree.
    """

    context_tokens: int
    waiting: int
    nodes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What was measured at one point.

    Attributes:
        digest: of the decision log of the window, equal in all its passes.
        before, after: all sizes when the window began and when it had ended.
        work: what the scheduler did in it, equal in all its passes.
        metrics: by name, per step.
    """

    digest: str
    before: Sizes
    after: Sizes
    work: WindowWork
    metrics: dict[str, float]


def measure_point(
    context: ScriptedContext, point: Point, passes: tuple[str, ...]
) -> Generator[None, None, Window]:
    """Measure one point in each of the ways asked for.

    With a counting pass, a plain window comes first: it pays for what a process makes only once.

    Raises:
        ScriptFailedError: the size could not be reached, or two passes decided differently.
        UsageError: no pass, or one that there is not.
    """
    if not passes or set(passes) - {TIME, *EXACT_PASSES}:
        raise UsageError(f"passes={passes!r}: expected one or more of {', '.join((TIME, *EXACT_PASSES))}")
    windows: list[Window] = []
    if passes != (TIME,):
        windows.append((yield from _window(context, point, Unmeasured(), dict)))
    for name in passes:
        if windows:
            yield from reset_engine(context)
            context.begin_script()
        windows.append((yield from _MEASURED[name](context, point)))
    first = windows[0]
    if any(one.digest != first.digest for one in windows):
        raise ScriptFailedError(f"{point}: two windows of one build decided differently")
    return Window(
        digest=first.digest,
        before=first.before,
        after=first.after,
        work=first.work,
        metrics={name: value for one in windows for name, value in one.metrics.items()},
    )


def _timed(context: ScriptedContext, point: Point) -> Generator[None, None, Window]:
    timer = HostTimer()
    return (
        yield from _window(context, point, timer, lambda: {CPU_TIME: timer.total_ns / 1e6 / WINDOW_STEPS})
    )


def _counted(context: ScriptedContext, point: Point) -> Generator[None, None, Window]:
    for attempt in range(_COUNT_ATTEMPTS):
        if attempt:
            yield from reset_engine(context)
            context.begin_script()
        counter = WorkCounter()

        def calls(counter: WorkCounter = counter) -> dict[str, float]:
            python, native, _ = counter.calls()
            return {
                "python_calls_per_step": sum(python.values()) / WINDOW_STEPS,
                "c_calls_per_step": sum(native.values()) / WINDOW_STEPS,
            }

        counter.start()
        try:
            window = yield from _window(context, point, counter, calls)
        finally:
            counter.stop()
        if not counter.is_cold:
            break
    return window


def _lines(context: ScriptedContext, point: Point) -> Generator[None, None, Window]:
    lines = ExecutedLines([context.engine.source_folders().watched])

    def executed() -> dict[str, float]:
        total = sum(count for one in lines.by_function().values() for count in one.values())
        return {"executed_lines_per_step": total / WINDOW_STEPS}

    try:
        return (yield from _window(context, point, lines, executed))
    finally:
        lines.leave()


def _allocations(context: ScriptedContext, point: Point) -> Generator[None, None, Window]:
    meter = AllocationMeter()
    meter.start()
    try:
        return (
            yield from _window(context, point, meter, lambda: allocation_metrics(meter, steps=WINDOW_STEPS))
        )
    finally:
        meter.stop()


_MEASURED: dict[str, Callable[[ScriptedContext, Point], Generator[None, None, Window]]] = {
    TIME: _timed,
    COUNT: _counted,
    LINES: _lines,
    ALLOCATIONS: _allocations,
}


def _window(
    context: ScriptedContext,
    point: Point,
    listener: PhaseListener,
    metrics: Callable[[], dict[str, float]],
) -> Generator[None, None, Window]:
    load = _LOADS[point.axis](context, point.size)
    yield from load.set_up()
    for _ in range(_SETTLE_STEPS):
        load.replenish()
        yield
    before = _sizes(context)
    recorder = Recorder(
        engine=context.engine,
        clock=context.clock,
        pressure=context.pressure,
        forward_time=LinearForwardTime(),
        ranks=context.ranks,
    )
    try:
        recorder.start()
        context.phases = PhaseSwitch(context.engine, listener)
        context.observers.append(recorder)
        for _ in range(WINDOW_STEPS):
            load.replenish()
            context.phases.resume()
            yield
    finally:
        if context.phases is not None:
            context.phases.remove()
        context.phases = None
        recorder.stop()
        context.observers.clear()
    after = _sizes(context)
    log = recorder.log
    return Window(digest=log.digest, before=before, after=after, work=work_of(log), metrics=metrics())


def _sizes(context: ScriptedContext) -> Sizes:
    engine = context.engine
    held = [engine.find_request(rid) for rid in engine.running_rids()]
    return Sizes(
        context_tokens=max((one.prompt_tokens + one.output_tokens for one in held if one), default=0),
        waiting=engine.waiting_count(),
        nodes=sum(1 for _ in engine.tree.walk()),
    )


class _Load:
    """Requests that hold one size; no two share a prompt."""

    def __init__(self, context: ScriptedContext, size: int) -> None:
        self.context, self.size = context, size
        self._sent = 0

    def set_up(self) -> Iterator[None]:
        """Step until the size is reached."""
        raise NotImplementedError

    def replenish(self) -> None:
        """Before each step: send what keeps the size as it is."""

    def send(self, count: int, *, prompt_tokens: int, max_new_tokens: int = 1) -> None:
        """Submit requests."""
        for _ in range(count):
            self._sent += 1
            self.context.submit_request(
                Request(
                    rid=f"growth-{self._sent}",
                    arrival_seconds=0.0,
                    prompt=(Segment(seed=self._sent, length=prompt_tokens),),
                    max_new_tokens=max_new_tokens,
                )
            )

    def until(self, reached: Callable[[], bool]) -> Iterator[None]:
        """Step until it is so; raises ScriptFailedError when it does not become so."""
        for _ in range(_SETUP_STEPS_MAX):
            yield
            if reached():
                return
        raise ScriptFailedError(
            f"size {self.size}: not reached within {_SETUP_STEPS_MAX} steps: {_sizes(self.context)}"
        )


class _LongContexts(_Load):
    def set_up(self) -> Iterator[None]:
        engine = self.context.engine
        self.send(
            _CONTEXT_REQUESTS,
            prompt_tokens=self.size,
            max_new_tokens=WINDOW_STEPS + 4 * _SETTLE_STEPS,
        )
        yield from self.until(
            lambda: len(engine.running_rids()) == _CONTEXT_REQUESTS and not engine.waiting_count()
        )


class _DeepQueue(_Load):
    def set_up(self) -> Iterator[None]:
        self.context.exhaust_rows(leave_rows=_ADMITTED_AT_ONCE)
        self.replenish()
        yield from self.until(lambda: self.context.engine.waiting_count() > 0)

    def replenish(self) -> None:
        self.send(self.size - self.context.engine.waiting_count(), prompt_tokens=_QUEUED_TOKENS)


class _LargeTree(_Load):
    def set_up(self) -> Iterator[None]:
        self.send(self.size, prompt_tokens=LEAF_TOKENS)
        yield from self.until(lambda: self.context.is_fully_idle and not self.context.has_unreceived)
        self.context.exhaust_kv(leave_pages=_FREE_PAGES)

    def replenish(self) -> None:
        self.send(1, prompt_tokens=LEAF_TOKENS)


_LOADS: dict[str, type[_Load]] = {CONTEXT: _LongContexts, QUEUE: _DeepQueue, TREE: _LargeTree}
