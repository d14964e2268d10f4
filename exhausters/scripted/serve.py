"""The program of a worker: boot one engine, then serve scripts until asked to shut down.

The supervisor starts it by name, in the target's own environment.
"""

from __future__ import annotations

import faulthandler
import os
import resource
import signal
import threading
import traceback
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path

from exhausters.engine.api import Boot, Engine, Place, World
from exhausters.engine.clock import RealClock, VirtualClock, make_clock
from exhausters.engine.load import load_boot, source_tree
from exhausters.errors import ExhaustersError, HostError
from exhausters.observe.executed_lines import ExecutedLines
from exhausters.observe.executed_source import executed_source
from exhausters.pressure.registry import register_extension
from exhausters.ranks.engine import leading
from exhausters.ranks.follower import follow
from exhausters.ranks.leader import Followers
from exhausters.ranks.processes import fork_ranks
from exhausters.scripted.hook import ScriptedSchedulerHook
from exhausters.worker.out_of_memory import says_out_of_memory
from exhausters.worker.protocol import SPOOL_NAME, WorkerConfig, WorkerFailed, WorkerReady


@dataclass(frozen=True, slots=True, kw_only=True)
class Common:
    """What is there before any build is imported: the same for all that one environment serves.

    Attributes:
        boot: boots the engine.
        clock: the clock of all workers to come, installed.
    """

    boot: Boot
    clock: VirtualClock | RealClock


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What is there once the engine is imported, whatever it is then booted with.

    Attributes:
        boot: boots the engine.
        clock: the worker's clock, installed.
        boot_lines: records the lines of the boot, from the imports on; None where that is not wanted.
    """

    boot: Boot
    clock: VirtualClock | RealClock
    boot_lines: ExecutedLines | None


def load_common(engine: str, clock: str) -> Common:
    """Install the clock and import what the engine imports of its environment."""
    common = _with_clock(engine, clock)
    common.boot.load_common()
    return common


def load(config: WorkerConfig, common: Common | None = None) -> Loaded:
    """Import the engine, and before it what is not `common` already; raises what `Boot.load` raises."""
    common = common or _with_clock(config.engine, config.settings.clock)
    boot_lines = _record_boot(config) if config.settings.record_boot else None
    common.boot.load(config.settings, config.source_dirs)
    return Loaded(boot=common.boot, clock=common.clock, boot_lines=boot_lines)


def main(data_fd: int, loaded: Loaded | None = None) -> int:
    """Boot as the first message says, then serve scripts until asked to shut down; return the exit code.

    `loaded` is what was imported before this process was forked; None when nothing was.
    """
    connection = Connection(data_fd)
    config: WorkerConfig = connection.recv()
    settings = config.settings
    faulthandler.enable()
    # A host that waited too long asks for the stacks before it kills.
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    _limit_memory(settings.memory_limit_bytes)
    limited = settings.memory_limit_bytes is not None
    phase = "import"
    try:
        loaded = loaded or load(config)
        boot = loaded.boot
        for reference in config.extensions:
            register_extension(reference)
        phase = "boot"
        world = boot.world(settings)
        followers = None if world.size == 1 else _start_followers(world, connection, config, loaded)
        serving = _Serving(connection, config, loaded, followers)
        logged = boot.run(
            settings=settings,
            run_dir=Path(config.run_dir),
            make_hook=serving.make_hook,
            on_started=serving.started,
            place=world.place(0),
        )
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 0
    except BaseException as error:
        traceback.print_exc()
        connection.send(_failed(phase, traceback.format_exc(), error, limited=limited))
        return 1
    # An engine returns from its loop only after an exception, which it has logged.
    cause: ExhaustersError | None = None if followers is None else followers.explain(logged)
    if cause is None and not serving.is_started:
        cause = boot.refusal(logged, config.settings)
    failed = _failed("loop" if serving.is_started else "boot", logged, cause, limited=limited)
    if followers is None or followers.claim_report():
        connection.send(replace(failed, salvaged=serving.salvage()))
    return 1


def _start_followers(world: World, connection: Connection, config: WorkerConfig, loaded: Loaded) -> Followers:
    """Fork the other ranks of the engine; each boots as this process goes on to do."""

    def run(place: Place, link: Connection) -> int:
        if loaded.boot_lines is not None:
            loaded.boot_lines.leave()
        # Of its own: each rank writes a model folder.
        run_dir = Path(config.run_dir) / f"rank{place.rank}"
        run_dir.mkdir()
        return follow(
            place, link, boot=loaded.boot, settings=config.settings, run_dir=run_dir, clock=loaded.clock
        )

    def lost(error: HostError) -> None:
        traceback.print_stack()
        connection.send(_failed("boot", str(error), error, limited=False))
        os._exit(1)

    followers = Followers(world, fork_ranks(world, run, private=connection))
    followers.watch(lost)
    return followers


class _Serving:
    """What the hook needs, gathered while the engine comes up."""

    def __init__(
        self,
        connection: Connection,
        config: WorkerConfig,
        loaded: Loaded,
        followers: Followers | None,
    ) -> None:
        self._followers = followers
        self._boot_lines = loaded.boot_lines
        self._connection = connection
        self._config = config
        self._boot = loaded.boot
        self._clock = loaded.clock
        self._engine: Engine | None = None
        self._hook: ScriptedSchedulerHook | None = None
        self.is_started = False

    def make_hook(self, engine: Engine) -> ScriptedSchedulerHook:
        if self._followers is not None:
            engine = leading(engine, self._followers)
        self._engine = engine
        self._hook = ScriptedSchedulerHook(
            engine=engine,
            connection=self._connection,
            clock=self._clock,
            text=self._config.settings.text,
            spool_path=Path(self._config.run_dir) / SPOOL_NAME,
            ranks=self._followers,
        )
        return self._hook

    def salvage(self) -> object:
        """What the running script has until now; None when it offers nothing, or cannot."""
        ask = self._hook.context.salvage if self._hook is not None else None
        if ask is None:
            return None
        try:
            return ask()
        except Exception:
            # The scheduler has failed already, and its error is what must be reported.
            traceback.print_exc()
            return None

    def started(self, notes: tuple[str, ...]) -> None:
        """Report what came up, and end here when it is not what was asked for."""
        assert self._engine is not None, "the engine has started without a hook"
        if self._boot_lines is not None and self._hook is not None:
            self._boot_lines.leave()
            root = self._config.source_dirs[0]
            self._hook.context.boot_lines = executed_source(self._boot_lines.by_file(), root=root).lines
        facts = self._engine.facts()
        try:
            self._boot.check(self._config.settings, facts)
        except ExhaustersError as error:
            self._connection.send(_failed("boot", str(error), error, limited=False))
            raise SystemExit(1) from None
        if self._followers is not None:
            self._followers.await_started()
        self.is_started = True
        self._connection.send(WorkerReady(facts=facts, notes=notes))


def _record_boot(config: WorkerConfig) -> ExecutedLines:
    """Record what the engine's own files execute from now on, on this thread, which is the scheduler's."""
    watched = source_tree(config.engine).WATCHED
    lines = ExecutedLines([f"{folder.rstrip('/')}/{watched}" for folder in config.source_dirs])
    lines.enter("boot")
    return lines


def _with_clock(engine: str, clock: str) -> Common:
    """Replace time, after the modules whose waiting must stay real and before any of the engine's."""
    import asyncio
    import concurrent.futures
    import multiprocessing.pool
    import queue
    import selectors
    import subprocess

    _ = (asyncio, concurrent.futures, multiprocessing.pool, queue, selectors, subprocess, threading)
    boot = load_boot(engine)
    boot.import_before_clock()
    installed = make_clock(clock)
    installed.install()
    return Common(boot=boot, clock=installed)


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
