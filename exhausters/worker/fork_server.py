"""The loop of a process that has imported something and forks others from it; standard library only.

One packet is one message. A request is JSON, with the files that the fork is given beside it, and is answered
by `{"pid": …}` with a file that stands for the process. `{"reap": PID}` lets the number of a fork that has
ended be used again.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import socket
import sys
import tempfile
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn, TypeVar

_Loaded = TypeVar("_Loaded")

READY = b"ready"
# Room for an environment; below what the kernel sends as one packet by default (net.core.wmem_default).
MESSAGE_BYTES = 200_000
# A supervisor is given the ends of its two sockets, and its log.
FORK_FDS = 3


def serve_forks(
    control: socket.socket, become: Callable[[list[int], dict[str, Any]], None], *, run_dir: str
) -> NoReturn:
    """Fork for each request until the other end closes, then delete `run_dir` and end.

    Args:
        control: the socket that requests come from.
        become: what a fork goes on as, with its files and its request; does not return.
        run_dir: folder of this process.
    """
    with suppress(OSError):  # nobody is left: the next lines find out
        control.send(READY)
    while True:
        message, fds = _request(control)
        if not message:
            shutil.rmtree(run_dir, ignore_errors=True)
            # No interpreter shutdown: an engine's imports may leave threads that would hold it up.
            os._exit(0)
        asked: dict[str, Any] = json.loads(message)
        if "reap" in asked:
            os.waitpid(asked["reap"], 0)
            control.send(b"{}")
            continue
        sys.stdout.flush()
        sys.stderr.flush()
        child = os.fork()
        if child == 0:
            control.close()
            _end_as(become, fds, asked)
        _answer(control, child, fds)


def load_or_end(control: socket.socket, load: Callable[[], _Loaded], *, run_dir: str) -> _Loaded:
    """Return what is loaded. If that fails, end; and if nobody is left who would, delete `run_dir` before."""
    try:
        return load()
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        if not _is_asked(control):
            shutil.rmtree(run_dir, ignore_errors=True)
        os._exit(1)


def _request(control: socket.socket) -> tuple[bytes, list[int]]:
    try:
        message, fds, _, _ = socket.recv_fds(control, MESSAGE_BYTES, FORK_FDS)
    except OSError:  # the other end has gone with something unread
        return b"", []
    return message, fds


def _is_asked(control: socket.socket) -> bool:
    """Whether the other end is there."""
    try:
        return bool(control.recv(1, socket.MSG_DONTWAIT | socket.MSG_PEEK))
    except BlockingIOError:
        return True
    except OSError:
        return False


def start_anew(log_fd: int, tmp: str) -> None:
    """Take what a process has of its own from its start: a session, a log, a folder for temporary files."""
    os.setsid()
    for stream in (1, 2):
        os.dup2(log_fd, stream)
    os.close(log_fd)
    os.environ["TMPDIR"] = tmp
    tempfile.tempdir = None
    random.seed()


def _end_as(
    become: Callable[[list[int], dict[str, Any]], None], fds: list[int], asked: dict[str, Any]
) -> NoReturn:
    try:
        become(fds, asked)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


def _answer(control: socket.socket, child: int, fds: list[int]) -> None:
    """Tell of a fork. Its files are closed here: they must end when it does."""
    handle = os.pidfd_open(child)
    socket.send_fds(control, [json.dumps({"pid": child}).encode()], [handle])
    for fd in (handle, *fds):
        os.close(fd)
