"""Start the process that supervises a worker: a program of its own, or a fork of a `Template`."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from exhausters.engine.settings import HostSettings
from exhausters.targets import PreparedTarget
from exhausters.worker.bases import Base
from exhausters.worker.environment import worker_environment
from exhausters.worker.forking import (
    PROGRAM,
    SUPERVISOR,
    ForkServer,
    ServerProcess,
    await_end,
    start_server,
)
from exhausters.worker.protocol import WorkerConfig

SCRATCH = "tmp"
# For what is installed beside an engine; on a cold disk it takes a minute.
_IMPORT_TIMEOUT_SECONDS = 300.0


class Supervisor(Protocol):
    """A started supervisor.

    Attributes:
        pid: its process id, which is also that of the process group of all below it.
    """

    @property
    def pid(self) -> int:
        """See the class."""
        ...

    def end(self) -> None:
        """Wait until it has ended, and kill what is left of its group; its sockets are closed before."""


class StartedSupervisor:
    """A supervisor that is a program of its own."""

    def __init__(
        self,
        target: PreparedTarget,
        settings: HostSettings,
        run_dir: Path,
        data_fd: int,
        life_fd: int,
        log_fd: int,
    ) -> None:
        """Start it; `run_dir` gets a folder for temporary files."""
        scratch = run_dir / SCRATCH
        scratch.mkdir()
        self._process = subprocess.Popen(
            [target.python, "-P", SUPERVISOR, str(data_fd), str(life_fd), run_dir, PROGRAM],
            stdin=subprocess.DEVNULL,
            stdout=log_fd,
            stderr=subprocess.STDOUT,
            pass_fds=(data_fd, life_fd),
            env=worker_environment(target, scratch, settings.environment),
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def end(self) -> None:
        """Wait until it has ended, and kill what is left of its group."""
        with suppress(OSError):
            handle = os.pidfd_open(self.pid)
            await_end(handle)
        # Not waited for yet, so that its number, which names the group, cannot be another's by now.
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()


class ForkedSupervisor:
    """A supervisor that a template has forked."""

    def __init__(self, template: ForkServer, pid: int, handle: int) -> None:
        """Take over the `handle`, a file that stands for the process."""
        self._template, self._pid = template, pid
        self._handle: int | None = handle

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._pid

    def end(self) -> None:
        """Wait until it has ended, and kill what is left of its group; harmless when repeated."""
        if self._handle is None:
            return
        await_end(self._handle)
        self._handle = None
        # As above; a template that has gone has left its number free, and no group that is ours.
        with suppress(ProcessLookupError):
            os.killpg(self._pid, signal.SIGKILL)
        self._template.reap(self._pid)


class Template:
    """A process that has imported a target's engine, and forks supervisors; a context manager.

    A fork is booted with any engine settings; what the imports depend on must be equal (see `fits`).
    """

    def __init__(self, target: PreparedTarget, settings: HostSettings, base: Base | None = None) -> None:
        """Start it; it imports while the caller goes on, and the first fork waits for that.

        With a base, one that fits, it is forked from that when it is asked for its own first fork.
        """
        self._needs = _needs(target, settings)
        self._run_dir = Path(tempfile.mkdtemp(prefix="exhausters-"))
        scratch = self._run_dir / SCRATCH
        scratch.mkdir()
        environment = worker_environment(target, scratch, settings.environment)
        config = WorkerConfig(
            engine=target.engine,
            settings=settings,
            source_dirs=tuple(str(folder) for folder in target.source_dirs),
            run_dir=str(self._run_dir),
            target_name=target.name,
        )

        def start(control: socket.socket) -> ServerProcess:
            with (self._run_dir / "template.log").open("wb") as log:
                forked = None
                if base is not None:
                    forked = base.fork(
                        environment, control.fileno(), log.fileno(), timeout_seconds=_IMPORT_TIMEOUT_SECONDS
                    )
                return forked or start_server("template", target, environment, control, log)

        try:
            self._server = ForkServer(start, config, is_lazy=base is not None)
        except BaseException:
            shutil.rmtree(self._run_dir, ignore_errors=True)
            raise

    @staticmethod
    def is_possible(settings: HostSettings) -> bool:
        """Whether a boot may be a fork: not one of which the imports are watched or limited, too."""
        return not settings.record_boot and settings.memory_limit_bytes is None

    def fits(self, target: PreparedTarget, settings: HostSettings) -> bool:
        """Whether these settings need the same imports."""
        return self._needs == _needs(target, settings)

    def fork(
        self, run_dir: Path, data_fd: int, life_fd: int, log_fd: int, *, timeout_seconds: float
    ) -> ForkedSupervisor | None:
        """Fork a supervisor; `run_dir` gets a folder for temporary files.

        Returns:
            None when the template cannot import, or has gone: a supervisor that is started says why.
        """
        scratch = run_dir / SCRATCH
        scratch.mkdir()
        asked = {"run_dir": str(run_dir), "tmp": str(scratch)}
        forked = self._server.fork(asked, (data_fd, life_fd, log_fd), timeout_seconds=timeout_seconds)
        if forked is None:
            scratch.rmdir()
            return None
        return ForkedSupervisor(self._server, *forked)

    def interrupt(self) -> None:
        """End it at once, from any thread; its forks live on."""
        self._server.interrupt()

    def close(self) -> None:
        """End it and remove its files; its forks have ended before."""
        self._server.close()
        shutil.rmtree(self._run_dir, ignore_errors=True)

    def __enter__(self) -> Template:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _needs(target: PreparedTarget, settings: HostSettings) -> object:
    """What is fixed once the engine is imported."""
    return target, settings.clock, settings.tree_core, dict(settings.environment)
