"""A process that forks others from what it has imported, as its owner sees it; see `fork_server.py`."""

from __future__ import annotations

import json
import os
import pickle
import select
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Protocol

from exhausters.targets import PreparedTarget
from exhausters.worker.fork_server import MESSAGE_BYTES

SUPERVISOR = Path(__file__).with_name("supervisor.py")
_END_TIMEOUT_SECONDS = 10.0
# What a supervisor starts in the worker. By name: it is imported in the target's environment only.
PROGRAM = "exhausters.scripted.serve"


class ServerProcess(Protocol):
    """A started process: what of `subprocess.Popen` is used."""

    def kill(self) -> None:
        """End it at once."""

    def wait(self) -> object:
        """Wait until it has ended, after `kill`."""


class ForkedProcess:
    """A process that a fork server has forked, and of which nothing is left behind once it has ended."""

    def __init__(self, server: ForkServer, pid: int, handle: int) -> None:
        """Take over the `handle`, a file that stands for the process."""
        self._server, self._pid = server, pid
        self._handle: int | None = handle
        self._lock = threading.Lock()

    def kill(self) -> None:
        """End it at once, from any thread."""
        with self._lock, suppress(ProcessLookupError):
            if self._handle is not None:
                signal.pidfd_send_signal(self._handle, signal.SIGKILL)

    def wait(self) -> None:
        """Wait until it has ended; harmless when repeated."""
        with self._lock:
            handle, self._handle = self._handle, None
        if handle is not None:
            await_end(handle)
            self._server.reap(self._pid)


class ForkServer:
    """The process and the socket to it.

    It imports while the caller goes on, and the first fork waits for that.

    Attributes:
        has_gone: whether a fork was asked for in vain.
    """

    def __init__(
        self, start: Callable[[socket.socket], ServerProcess], config: object, *, is_lazy: bool = False
    ) -> None:
        """Start it with its end of the socket, and send it the config; if lazy, for the first fork."""
        # One packet is one message.
        self._control, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._start, self._config = start, config
        self._lock, self._is_ready, self.has_gone = threading.Lock(), False, False
        self._process: ServerProcess | None = None
        self._interrupted = threading.Event()
        if not is_lazy:
            self._begin()

    def _begin(self) -> None:
        """Start it; raises OSError if it cannot be started, or must not be any more."""
        if self._interrupted.is_set():
            raise InterruptedError
        try:
            with self._theirs:
                self._process = self._start(self._theirs)
        except BaseException:
            self._control.close()
            raise
        if self._interrupted.is_set():  # while it was being started
            self._process.kill()
        with suppress(OSError):  # it has gone: the first fork finds out
            self._control.send(pickle.dumps(self._config))

    def fork(
        self, asked: Mapping[str, object], fds: Sequence[int], *, timeout_seconds: float
    ) -> tuple[int, int] | None:
        """Fork; return the number of the process, and a file that stands for it.

        Returns:
            None when the server cannot import, was too slow, or has gone.
        """
        with self._lock:
            try:
                if self._process is None:
                    self._begin()
                self._control.settimeout(timeout_seconds)
                if not self._is_ready:
                    self._is_ready = bool(self._control.recv(MESSAGE_BYTES))
                socket.send_fds(self._control, [json.dumps(asked).encode()], fds)
                answer, handles, _, _ = socket.recv_fds(self._control, MESSAGE_BYTES, 1)
            except OSError:
                # Also when it was too slow: a late answer would be taken for the next one.
                self.interrupt()
                answer, handles = b"", []
        self.has_gone = not answer or not handles
        return None if self.has_gone else (json.loads(answer)["pid"], handles[0])

    def reap(self, pid: int) -> None:
        """Let the number of a fork that has ended be used again; harmless when the server has gone."""
        with self._lock, suppress(OSError):
            self._control.send(json.dumps({"reap": pid}).encode())
            self._control.recv(MESSAGE_BYTES)

    def interrupt(self) -> None:
        """End it at once, from any thread; its forks live on."""
        self._interrupted.set()
        if self._process is not None:
            self._process.kill()

    def close(self) -> None:
        """End it."""
        self.interrupt()
        if self._process is not None:
            self._process.wait()
        self._theirs.close()
        self._control.close()


def start_server(
    role: str, target: PreparedTarget, environment: Mapping[str, str], control: socket.socket, log: BinaryIO
) -> ServerProcess:
    """Start a program that becomes a fork server: a `template` or a `base`."""
    return subprocess.Popen(
        [target.python, "-P", SUPERVISOR, role, str(control.fileno()), PROGRAM],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        pass_fds=(control.fileno(),),
        env=dict(environment),
        start_new_session=True,
    )


def await_end(handle: int) -> None:
    """Wait for the process that a file stands for, and close the file."""
    select.select([handle], [], [], _END_TIMEOUT_SECONDS)
    os.close(handle)
