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
from typing import Any, NoReturn

READY = b"ready"
MESSAGE_BYTES = 65_536
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
    control.send(READY)
    while True:
        message, fds, _, _ = socket.recv_fds(control, MESSAGE_BYTES, FORK_FDS)
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
