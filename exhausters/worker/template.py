"""A process that has imported an engine and forks a worker for each boot; the worker's side of `Template`.

Importing SGLang takes most of a boot's time, and is the same for every engine setting of one build. This
process imports once, boots nothing, and waits; each fork becomes a supervisor with a worker below it, as if
`supervisor.py` had been started.
"""

from __future__ import annotations

import importlib
import json
import os
import pickle
import random
import shutil
import socket
import sys
import tempfile
import traceback
from typing import Any

from exhausters.worker import supervisor
from exhausters.worker.protocol import WorkerConfig

READY = b"ready"
# What a fork is given beside its request: the ends of its two sockets, and its log.
FORK_FDS = 3
_MESSAGE_BYTES = 65_536


def main(control_fd: int, program: str) -> None:
    """Import, then serve requests until the other end closes; does not return.

    Requests are JSON: `{"run_dir": …, "tmp": …}` with the files of a fork, answered by `{"pid": …}` and a
    file that stands for the process; `{"reap": PID}`, after which the number may be used again.
    """
    control = socket.socket(fileno=control_fd)
    module: Any = importlib.import_module(program)
    config: WorkerConfig = pickle.loads(control.recv(_MESSAGE_BYTES))
    loaded = module.load(config)
    control.send(READY)
    while True:
        message, fds, _, _ = socket.recv_fds(control, _MESSAGE_BYTES, FORK_FDS)
        if not message:
            shutil.rmtree(config.run_dir, ignore_errors=True)
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
            _become_supervisor(module, loaded, fds, asked)
        _answer(control, child, fds)


def _answer(control: socket.socket, child: int, fds: list[int]) -> None:
    """Tell of a fork. Its files are closed here: they must end when it does."""
    handle = os.pidfd_open(child)
    socket.send_fds(control, [json.dumps({"pid": child}).encode()], [handle])
    for fd in (handle, *fds):
        os.close(fd)


def _become_supervisor(module: Any, loaded: Any, fds: list[int], asked: dict[str, Any]) -> None:
    """Go on as the supervisor of a worker that has its imports already; does not return."""
    data_fd, life_fd, log_fd = fds
    try:
        os.setsid()
        for stream in (1, 2):
            os.dup2(log_fd, stream)
        os.close(log_fd)
        # What a process has of its own from its start.
        os.environ["TMPDIR"] = asked["tmp"]
        tempfile.tempdir = None
        random.seed()
        supervisor.main(data_fd, life_fd, asked["run_dir"], lambda fd: int(module.main(fd, loaded)))
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)
