"""The parent's side of a host: start a worker, run scripts in it, end it. Never imports sglang."""

from __future__ import annotations

import json
import os
import pickle
import select
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any

from exhausters.engine.settings import HostSettings
from exhausters.errors import HostError, ScriptFailedError, UsageError
from exhausters.targets import PreparedTarget
from exhausters.worker import failures
from exhausters.worker.bases import Bases
from exhausters.worker.environment import IN_WORKER
from exhausters.worker.exit_status import kernel_kills
from exhausters.worker.extensions import extensions
from exhausters.worker.processes import StartedSupervisor, Supervisor, Template
from exhausters.worker.protocol import (
    SPOOL_NAME,
    RunScript,
    ScriptFailed,
    ScriptRef,
    ScriptSucceeded,
    Shutdown,
    WorkerConfig,
    WorkerReady,
)
from exhausters.worker.script_ref import script_ref
from exhausters.worker.spool import read_spool

BOOT_TIMEOUT_SECONDS = 300.0
# SGLang's own scripted server allows 120 s for a script; a script here runs many times faster.
SCRIPT_TIMEOUT_SECONDS = 120.0
SHUTDOWN_TIMEOUT_SECONDS = 10.0


class Host:
    """One booted scheduler of one target, in a process of its own; a context manager.

    Attributes:
        full_marks_cleared: resets until now that found the idle engine marked as full by an earlier script,
            and took the mark off.

    Raises on construction: BootError, MissingModuleError, SeamError, WorkerCrashedError,
    WorkerOutOfMemoryError or WorkerHungError, each with the tail of the worker's log.
    """

    def __init__(
        self,
        target: PreparedTarget,
        settings: HostSettings | None = None,
        *,
        template: Template | None = None,
        on_started: Callable[[Host], None] | None = None,
    ) -> None:
        """Boot; `on_started` is called before the wait for it, so that another thread can `interrupt` it.

        With a template, one that fits, the worker is forked from it and imports nothing again; where that
        fails it boots as without.
        """
        if os.environ.get(IN_WORKER):
            # A program without a guard: each worker would start the next one.
            raise UsageError(
                "a worker cannot start a worker: the file that holds the script starts one when it is "
                'imported; put what starts the run below `if __name__ == "__main__":`'
            )
        self.target = target
        self.settings = settings or HostSettings()
        self._template = template
        self._run_dir = Path(tempfile.mkdtemp(prefix="exhausters-"))
        self._log_path = self._run_dir / "worker.log"
        self._oom_kills_before = kernel_kills()
        self._closed = False
        self._core: int | None = None
        self._dead: HostError | None = None
        self.full_marks_cleared = 0
        try:
            self._start_processes()
            if on_started is not None:
                on_started(self)
            self._send_config()
            self.ready = self._await_ready()
        except BaseException:
            self._destroy()
            raise

    @staticmethod
    def template(
        target: PreparedTarget, settings: HostSettings, bases: Bases | None = None
    ) -> Template | None:
        """Start what boots of this target with such settings can be forked from, itself a fork of a base."""
        return Template(target, settings, None if bases is None else bases.of(target, settings))

    @property
    def facts(self) -> dict[str, Any]:
        """What was booted, by the names of `BootFacts`, and its clock; for scripts and records."""
        return {**self.ready.facts.to_json(), "clock": self.settings.clock}

    @property
    def pid(self) -> int:
        """Process id of the supervisor; it is also the id of the process group of all its children."""
        return self._supervisor.pid

    @property
    def worker_pid(self) -> int:
        """Process id of the worker, the process that runs the scheduler."""
        return self.ready.facts.pid

    @property
    def is_usable(self) -> bool:
        """Whether another script can be run: neither closed nor gone."""
        return self._dead is None and not self._closed

    def run(
        self,
        script: Callable[..., Any] | ScriptRef,
        *args: Any,
        timeout_seconds: float = SCRIPT_TIMEOUT_SECONDS,
        reset: bool = True,
        as_sglang: bool = False,
    ) -> Any:
        """Reset the engine, run one script to its end and return what its generator returned.

        With `as_sglang` the script sees what SGLang's own runtime has beside the context: a log of batches,
        and a request for one step after its end.

        Raises:
            ScriptFailedError: the script raised; the host stays usable.
            ExhaustersError: the script raised one of this project's own errors.
            HostError: the worker is gone (crash, hang, scheduler failure); the host is not usable.
        """
        if self._dead is not None:
            raise type(self._dead)(f"this host is gone: {self._dead.args[0]}", log_tail=self._dead.log_tail)
        if self._closed:
            raise UsageError("this host is closed: make a new Host to run another script")
        ref = script if isinstance(script, ScriptRef) else script_ref(script)
        with suppress(BrokenPipeError, ConnectionResetError):  # it has gone: reading tells how
            self._data.send(RunScript(script=ref, args=args, reset=reset, as_sglang=as_sglang))
        reply = self._receive(timeout_seconds, doing=f"script {ref}")
        if isinstance(reply, ScriptSucceeded):
            self.full_marks_cleared = reply.full_marks_cleared
            return reply.value
        if isinstance(reply, ScriptFailed):
            self.full_marks_cleared = reply.full_marks_cleared
            cause = ScriptFailedError(f"script {ref} failed in the worker:\n{reply.traceback}")
            if reply.error is not None:
                raise reply.error from cause
            raise cause
        raise self._died(self._failure(reply))

    def pin(self, core: int | None) -> None:
        """Let the scheduler's thread run on one core only, or with None on any that this process may use.

        Harmless when the worker is gone: its next script tells that.
        """
        if core == self._core or not self.is_usable:
            return
        with suppress(ProcessLookupError):
            os.sched_setaffinity(self.worker_pid, os.sched_getaffinity(0) if core is None else {core})
        self._core = core

    def interrupt(self) -> None:
        """Kill the worker from any thread; a boot or run under way there raises WorkerCrashedError.

        `close` is still to be called.
        """
        with suppress(OSError):  # it has ended
            # The supervisor takes this for the end of its host, and kills the worker.
            self._life.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End the worker; harmless when it has ended already or is closed twice."""
        if self._closed:
            return
        self._closed = True
        if self._dead is not None:
            return  # nothing was left of it, and its process id may be another's by now
        try:
            self._data.send(Shutdown())
            self._wait_for_end(SHUTDOWN_TIMEOUT_SECONDS)
        except OSError:
            pass
        self._destroy()

    def log_tail(self, lines: int = failures.LOG_TAIL_LINES) -> str:
        """Return the last lines the worker has logged."""
        try:
            text = self._log_path.read_text(errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def __enter__(self) -> Host:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _start_processes(self) -> None:
        own_data, worker_data = socket.socketpair()
        own_life, worker_life = socket.socketpair()
        self._data: Connection = Connection(own_data.detach())
        self._life = own_life
        with self._log_path.open("wb") as log, worker_data, worker_life:
            fds = (worker_data.fileno(), worker_life.fileno(), log.fileno())
            forked = None
            if self._template is not None:
                forked = self._template.fork(self._run_dir, *fds, timeout_seconds=BOOT_TIMEOUT_SECONDS)
            self._supervisor: Supervisor = forked or StartedSupervisor(
                self.target, self.settings, self._run_dir, *fds
            )

    def _send_config(self) -> None:
        config = WorkerConfig(
            engine=self.target.engine,
            settings=self.settings,
            source_dirs=tuple(str(folder) for folder in self.target.source_dirs),
            run_dir=str(self._run_dir),
            target_name=self.target.name,
            extensions=extensions(),
        )
        with suppress(BrokenPipeError, ConnectionResetError):  # it has gone: reading tells how
            self._data.send(config)

    def _await_ready(self) -> WorkerReady:
        reply = self._receive(BOOT_TIMEOUT_SECONDS, doing="boot")
        if isinstance(reply, WorkerReady):
            return reply
        raise self._died(self._failure(reply))

    def _receive(self, timeout_seconds: float, *, doing: str) -> Any:
        # Not Connection.poll alone: a supervisor killed by force can leave the data socket open for
        # the moment until the worker follows it.
        deadline = time.monotonic() + timeout_seconds
        while True:
            remaining_seconds = deadline - time.monotonic()
            if remaining_seconds <= 0:
                raise self._died(self._hung(timeout_seconds, doing))
            ready, _, _ = select.select([self._data], [], [], min(remaining_seconds, 1.0))
            if not ready:
                continue
            try:
                message = self._data.recv_bytes()
            except (EOFError, ConnectionResetError):
                raise self._died(self._crashed(doing)) from None
            try:
                return pickle.loads(message)
            except (ImportError, AttributeError) as error:
                raise UsageError(
                    f"{doing} returned a value of a type that only the worker's environment has ({error}); "
                    "return plain values"
                ) from error

    def _hung(self, timeout_seconds: float, doing: str) -> HostError:
        # SIGUSR1 makes the worker write its Python stacks to the log (faulthandler).
        try:
            os.kill(self.worker_pid, signal.SIGUSR1)
            time.sleep(0.3)
        except (AttributeError, OSError):
            pass  # it has not come up, or is gone
        return failures.hung(
            self.target.name,
            doing=doing,
            timeout_seconds=timeout_seconds,
            log_tail=self.log_tail,
            salvaged=self._spooled(),
        )

    def _crashed(self, doing: str) -> HostError:
        return failures.crashed(
            self.target.name,
            doing=doing,
            ended=self._wait_for_end(SHUTDOWN_TIMEOUT_SECONDS),
            memory_limit_bytes=self.settings.memory_limit_bytes,
            log_tail=self.log_tail,
            salvaged=self._spooled(),
        )

    def _spooled(self) -> object:
        return read_spool(self._run_dir / SPOOL_NAME) or None

    def _failure(self, reply: Any) -> BaseException:
        return failures.reported(reply, self.target, log_tail=self.log_tail)

    def _died(self, error: BaseException) -> BaseException:
        self._dead = error if isinstance(error, HostError) else HostError(str(error))
        self._destroy()
        return error

    def _wait_for_end(self, timeout_seconds: float) -> dict[str, Any]:
        """Return how the worker ended, as the supervisor tells it; empty when that was killed too."""
        self._life.settimeout(timeout_seconds)
        try:
            told = self._life.recv(4096)
        except OSError:
            return {}
        ended: dict[str, Any] = json.loads(told) if told else {}
        ended["oom_kills"] = kernel_kills() - self._oom_kills_before
        return ended

    def _destroy(self) -> None:
        """Leave no process, socket or file behind."""
        supervisor: Supervisor | None = getattr(self, "_supervisor", None)
        if supervisor is not None:
            # The end of the life socket makes the supervisor kill the worker, wait for it, and end.
            self._data.close()
            self._life.close()
            supervisor.end()
        shutil.rmtree(self._run_dir, ignore_errors=True)
