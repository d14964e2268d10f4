"""Which error a worker that did not answer, ended, or reported a failure becomes."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from typing import Any

from exhausters.errors import (
    BootError,
    HostError,
    SchedulerFailedError,
    WorkerCrashedError,
    WorkerHungError,
    WorkerOutOfMemoryError,
)
from exhausters.targets import PreparedTarget, explain_missing_module
from exhausters.worker.exit_status import describe_end
from exhausters.worker.out_of_memory import says_out_of_memory
from exhausters.worker.protocol import WorkerFailed

LOG_TAIL_LINES = 30
# What a library printed before it ended the process comes before the stacks of all threads.
_ABORT_LOG_LINES = 10_000
_PHASES = {"import": "importing {engine}", "boot": "booting the scheduler"}

# Returns that many of the last lines that the worker has logged.
LogTail = Callable[[int], str]


def hung(
    target_name: str, *, doing: str, timeout_seconds: float, log_tail: LogTail, salvaged: Any
) -> WorkerHungError:
    """A worker that gave no answer in time."""
    return WorkerHungError(
        f"{target_name}: no answer to {doing} within {timeout_seconds:g} s; "
        "the worker was killed. Raise the time limit, or look for a loop in the script.",
        log_tail=log_tail(LOG_TAIL_LINES),
        salvaged=salvaged,
    )


def crashed(
    target_name: str,
    *,
    doing: str,
    ended: Mapping[str, Any],
    memory_limit_bytes: int | None,
    log_tail: LogTail,
    salvaged: Any,
) -> HostError:
    """A worker that ended by itself or was killed.

    Args:
        target_name: for the message.
        doing: what it was asked for.
        ended: how it ended, as the supervisor reports it; empty when that was killed too.
        memory_limit_bytes: the limit it had, if any.
        log_tail: reads its log.
        salvaged: what is left of the run.
    """
    code = ended.get("exit_code")
    message = f"{target_name}: the worker ended during {doing}: {describe_end(code)}"
    kind: type[HostError] = WorkerCrashedError
    if code == -signal.SIGKILL and ended.get("oom_kills", 0) > 0:
        message += " by the kernel, out of memory"
        kind = WorkerOutOfMemoryError
    else:
        is_limited = memory_limit_bytes is not None
        if is_limited:
            message += f" (it had a memory limit of {memory_limit_bytes:,} bytes)"
        # A library that gets no memory ends the process.
        is_abort = code == -signal.SIGABRT
        if is_abort and says_out_of_memory(log_tail(_ABORT_LOG_LINES), limited=is_limited):
            kind = WorkerOutOfMemoryError
    return kind(message, log_tail=log_tail(LOG_TAIL_LINES), salvaged=salvaged)


def reported(reply: Any, target: PreparedTarget, *, log_tail: LogTail) -> BaseException:
    """What a worker reported instead of what it was asked for."""
    if not isinstance(reply, WorkerFailed):
        return HostError(f"the worker sent {type(reply).__name__}, which is not an answer")
    if reply.error is not None:
        return reply.error
    if reply.missing_module is not None:
        return explain_missing_module(reply.missing_module, stated=target.pins)
    trace = reply.traceback.strip()
    last_line = trace.rsplit("\n", 1)[-1]
    where = _PHASES.get(reply.phase, "the scheduler's event loop").format(engine=target.engine)
    message = f"{target.name}: {where} failed: {last_line}\n{trace}"
    kind: type[HostError] = SchedulerFailedError if reply.phase == "loop" else BootError
    if reply.out_of_memory:
        kind = WorkerOutOfMemoryError
    return kind(message, log_tail=log_tail(LOG_TAIL_LINES), salvaged=reply.salvaged)
