"""The process that runs one scheduler. Imported only in the target's own environment."""

from __future__ import annotations

import faulthandler
import resource
import signal
import threading
import traceback
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from exhausters.errors import ExhaustersError
from exhausters.worker.out_of_memory import says_out_of_memory
from exhausters.worker.protocol import SPOOL_NAME, HostSettings, WorkerConfig, WorkerFailed, WorkerReady


def main(data_fd: int) -> int:
    """Boot as the first message says, then serve scripts until told to end; return the exit code."""
    connection = Connection(data_fd)
    config: WorkerConfig = connection.recv()
    faulthandler.enable()
    # A host that waited too long asks for the stacks before it kills.
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    _limit_memory(config.settings.memory_limit_bytes)
    limited = config.settings.memory_limit_bytes is not None
    phase = "import"
    try:
        from exhausters.engine.sglang import boot

        clock = _install_clock(config.settings)
        boot.set_environment(config.settings)
        module = boot.import_scheduler(config.source_dirs)
        failure = boot.FailureNote()
        phase = "boot"
        state = _Serving(connection, config, clock)
        boot.run(
            module,
            settings=config.settings,
            run_dir=Path(config.run_dir),
            make_hook=state.make_hook,
            on_started=state.started,
        )
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 0
    except BaseException as error:
        traceback.print_exc()
        connection.send(_failed(phase, traceback.format_exc(), error, limited=limited))
        return 1
    # SGLang returns from its loop only after an exception, which it has logged.
    refusal = None if state.is_started else boot.refusal(failure.text, config.settings)
    failed = _failed("loop" if state.is_started else "boot", failure.text, refusal, limited=limited)
    connection.send(replace(failed, salvaged=state.salvage()))
    return 1


class _Serving:
    """What the hook needs, gathered while the scheduler comes up."""

    def __init__(self, connection: Connection, config: WorkerConfig, clock: Any) -> None:
        self._connection = connection
        self._config = config
        self._clock = clock
        self._scheduler: Any = None
        self._hook: Any = None
        self.is_started = False

    def make_hook(self, scheduler: Any) -> Any:
        from exhausters.scripted.hook import ScriptedSchedulerHook

        self._scheduler = scheduler
        self._hook = ScriptedSchedulerHook(
            scheduler=scheduler,
            connection=self._connection,
            clock=self._clock,
            settings=self._config.settings,
            spool_path=Path(self._config.run_dir) / SPOOL_NAME,
        )
        return self._hook

    def salvage(self) -> Any:
        """What the running script has until now; None when it offers nothing, or cannot."""
        ask = self._hook.context.salvage if self._hook is not None else None
        if ask is None:
            return None
        try:
            return ask()
        except Exception:
            # The scheduler has failed already, and its error is what must be told.
            traceback.print_exc()
            return None

    def started(self, notes: tuple[str, ...]) -> None:
        from exhausters.engine.sglang import seams

        self.is_started = True
        facts = {**seams.facts(self._scheduler), "clock": self._config.settings.clock}
        self._connection.send(WorkerReady(facts=facts, notes=notes))


def _install_clock(settings: HostSettings) -> Any:
    """Replace time, after the modules whose waiting must stay real and before any of SGLang's."""
    import asyncio
    import concurrent.futures
    import multiprocessing.pool
    import queue
    import selectors
    import subprocess

    import torch
    import zmq

    _ = (asyncio, concurrent.futures, multiprocessing.pool, queue, selectors, subprocess, zmq, threading)
    torch.set_num_threads(1)
    from exhausters.engine.clock import make_clock

    clock = make_clock(settings.clock)
    clock.install()
    return clock


def _limit_memory(limit_bytes: int | None) -> None:
    if limit_bytes is not None:
        resource.setrlimit(resource.RLIMIT_AS, (limit_bytes, limit_bytes))


def _failed(phase: str, text: str, error: BaseException | None, *, limited: bool) -> WorkerFailed:
    known: BaseException | None = error if isinstance(error, ExhaustersError) else None
    if isinstance(error, ModuleNotFoundError) and error.name:
        # The parent, which has the table of pins, explains this one.
        return WorkerFailed(phase=phase, traceback=text, missing_module=error.name)
    return WorkerFailed(
        phase=phase,
        traceback=text,
        error=known,
        out_of_memory=says_out_of_memory(text, limited=limited),
    )
