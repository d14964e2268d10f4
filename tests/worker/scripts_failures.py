"""Scripts that fail, hang, or make the scheduler fail. Run inside the worker."""

from __future__ import annotations

import os
import signal
from typing import Any

from exhausters.engine.clock import real_sleep
from exhausters.errors import LevelError


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
    """Make SGLang's own loop raise."""

    def planted(*_args: Any, **_keywords: Any) -> Any:
        raise RuntimeError(message)

    t.scheduler.get_next_batch_to_run = planted
    yield
    yield
