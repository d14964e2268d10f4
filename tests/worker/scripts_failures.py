"""Scripts that fail, hang, or make the scheduler fail. Run inside the worker."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from exhausters.engine.api import FORM_BATCH
from exhausters.engine.clock import real_sleep
from exhausters.errors import LevelError
from exhausters.sweep.drain import run_cell
from exhausters.sweep.run_options import RunOptions


def succeed(t: Any, value: Any = "done") -> Any:
    handle = t.start_req(prompt_len=8, max_new_tokens=2)
    while not handle.finished:
        yield
    return value


def raise_assertion(t: Any) -> Any:
    yield
    raise AssertionError("the planted assertion")


def raise_key_error(t: Any) -> Any:
    t.start_req(prompt_len=8, max_new_tokens=10_000, ignore_eos=True)
    yield
    yield
    return {}["the planted key"]


def raise_level_error(t: Any) -> Any:
    yield
    t.exhaust_kv(leave_pages=-3)


def raise_own_error_with_fields(t: Any) -> Any:
    from exhausters.errors import AllocationShortError

    yield
    raise AllocationShortError("planted", wanted_tokens=3, given_tokens=2, available_tokens=1)


def raise_while_holding(t: Any) -> Any:
    """Fail with everything taken and a request under way."""
    t.start_req(prompt_len=64, max_new_tokens=1_000, ignore_eos=True)
    yield
    yield
    t.exhaust_lock_refs(leave_refs=0)
    t.exhaust_kv(leave_pages=0)
    t.exhaust_rows(leave_rows=0)
    raise LevelError("planted")


def return_what_cannot_travel(t: Any) -> Any:
    yield
    return lambda: None


def return_engine_object(t: Any) -> Any:
    yield
    return type(t.scheduler)


def sleep_for_real(t: Any) -> Any:
    yield
    real_sleep(600)


def step_without_end(t: Any) -> Any:
    while True:
        yield


def kill_worker(t: Any) -> Any:
    yield
    os.kill(os.getpid(), signal.SIGKILL)


def end_worker(t: Any) -> Any:
    yield
    os._exit(7)


def kill_supervisor(t: Any) -> Any:
    yield
    os.kill(os.getppid(), signal.SIGKILL)
    real_sleep(600)


def break_scheduler(t: Any, message: str) -> Any:
    """Make the engine's own loop raise."""

    def planted(*_args: Any, **_keywords: Any) -> Any:
        raise RuntimeError(message)

    (forming,) = [point for point in t.engine.phase_points() if point.phase == FORM_BATCH]
    setattr(forming.owner, forming.name, planted)
    yield
    yield


def loaded_modules(t: Any, names: tuple[str, ...]) -> list[str]:
    """Those of the modules that this worker has imported."""
    return [name for name in names if name in sys.modules]


def variables(t: Any, *names: str) -> dict[str, str | None]:
    """Environment variables as the worker has them."""
    return {name: os.environ.get(name) for name in names}


def fails_in_a_cell(t: Any, cell: Any, workload: Any, step: int) -> Any:
    """Run a cell whose engine raises in that step."""
    (forming,) = [point for point in t.engine.phase_points() if point.phase == FORM_BATCH]
    original = getattr(forming.owner, forming.name)
    seen = 0

    def planted(*args: Any, **keywords: Any) -> Any:
        nonlocal seen
        seen += t.phases is not None
        if seen > step:
            raise RuntimeError("planted failure")
        return original(*args, **keywords)

    setattr(forming.owner, forming.name, planted)
    return (yield from run_cell(t, cell, workload, RunOptions(count_work=False)))
