"""Start the process that supervises a worker: a program of its own, or a fork of a `Template`."""

from __future__ import annotations

import json
import os
import pickle
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from exhausters.engine.load import ambient_prefixes
from exhausters.engine.settings import HostSettings
from exhausters.targets import PreparedTarget
from exhausters.worker.environment import DROPPED_VARIABLES, WORKER_VARIABLES
from exhausters.worker.protocol import WorkerConfig

# What the supervisor starts in the worker. By name: it is imported in the target's environment only.
PROGRAM = "exhausters.scripted.serve"
SCRATCH = "tmp"
_SUPERVISOR = Path(__file__).with_name("supervisor.py")
_END_TIMEOUT_SECONDS = 10.0
_MESSAGE_BYTES = 65_536


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
            [target.python, "-P", _SUPERVISOR, str(data_fd), str(life_fd), run_dir, PROGRAM],
            stdin=subprocess.DEVNULL,
            stdout=log_fd,
            stderr=subprocess.STDOUT,
            pass_fds=(data_fd, life_fd),
            env=_environment(target, settings, scratch),
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
            _await_end(handle)
        # Not waited for yet, so that its number, which names the group, cannot be another's by now.
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()


class ForkedSupervisor:
    """A supervisor that a template has forked."""

    def __init__(self, template: Template, pid: int, handle: int) -> None:
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
        _await_end(self._handle)
        self._handle = None
        # As above; a template that has gone has left its number free, and no group that is ours.
        with suppress(ProcessLookupError):
            os.killpg(self._pid, signal.SIGKILL)
        self._template.reap(self._pid)


class Template:
    """A process that has imported a target's engine, and forks supervisors; a context manager.

    A fork is booted with any engine settings; what the imports depend on must be equal (see `fits`).
    """

    def __init__(self, target: PreparedTarget, settings: HostSettings) -> None:
        """Start it; it imports while the caller goes on, and the first fork waits for that."""
        self._needs = _needs(target, settings)
        self._run_dir = Path(tempfile.mkdtemp(prefix="exhausters-"))
        scratch = self._run_dir / SCRATCH
        scratch.mkdir()
        # One packet is one message.
        own, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control, self._lock, self._is_ready = own, threading.Lock(), False
        with theirs, (self._run_dir / "template.log").open("wb") as log:
            self._process = subprocess.Popen(
                [target.python, "-P", _SUPERVISOR, str(theirs.fileno()), PROGRAM],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=(theirs.fileno(),),
                env=_environment(target, settings, scratch),
                start_new_session=True,
            )
        config = WorkerConfig(
            engine=target.engine,
            settings=settings,
            source_dirs=tuple(str(folder) for folder in target.source_dirs),
            run_dir=str(self._run_dir),
            target_name=target.name,
        )
        with suppress(OSError):  # it has gone: the first fork finds out
            own.send(pickle.dumps(config))

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
        asked = json.dumps({"run_dir": str(run_dir), "tmp": str(scratch)}).encode()
        with self._lock:
            try:
                self._control.settimeout(timeout_seconds)
                if not self._is_ready:
                    self._is_ready = bool(self._control.recv(_MESSAGE_BYTES))
                socket.send_fds(self._control, [asked], [data_fd, life_fd, log_fd])
                answer, handles, _, _ = socket.recv_fds(self._control, _MESSAGE_BYTES, 1)
            except OSError:
                # Also when it was too slow: a late answer would be taken for the next one.
                self.interrupt()
                answer, handles = b"", []
        if not answer or not handles:
            scratch.rmdir()
            return None
        return ForkedSupervisor(self, json.loads(answer)["pid"], handles[0])

    def reap(self, pid: int) -> None:
        """Let the number of a fork that has ended be used again; harmless when the template has gone."""
        with self._lock, suppress(OSError):
            self._control.send(json.dumps({"reap": pid}).encode())
            self._control.recv(_MESSAGE_BYTES)

    def interrupt(self) -> None:
        """End it at once, from any thread; its forks live on."""
        self._process.kill()

    def close(self) -> None:
        """End it and remove its files; its forks have ended before."""
        self.interrupt()
        self._process.wait()
        self._control.close()
        shutil.rmtree(self._run_dir, ignore_errors=True)

    def __enter__(self) -> Template:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _needs(target: PreparedTarget, settings: HostSettings) -> object:
    """What is fixed once the engine is imported."""
    return target, settings.clock, settings.tree_core, dict(settings.environment)


def _await_end(handle: int) -> None:
    select.select([handle], [], [], _END_TIMEOUT_SECONDS)
    os.close(handle)


def _environment(target: PreparedTarget, settings: HostSettings, scratch: Path) -> dict[str, str]:
    ambient = ambient_prefixes(target.engine)
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in DROPPED_VARIABLES and not name.startswith(ambient)
    }
    kept.update(WORKER_VARIABLES, TMPDIR=str(scratch))
    if target.pycache_prefix is not None:
        kept["PYTHONPYCACHEPREFIX"] = str(target.pycache_prefix)
    kept.update(settings.environment)
    return kept
