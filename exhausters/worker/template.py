"""A process that has imported an engine and forks a worker for each boot; the worker's side of `Template`.

Importing SGLang takes most of a boot's time, and is the same for every engine setting of one build. This
process imports once, boots nothing, and waits; each fork becomes a supervisor with a worker below it, as if
`supervisor.py` had been started.
"""

from __future__ import annotations

import importlib
import pickle
import socket
from typing import Any

from exhausters.worker import supervisor
from exhausters.worker.fork_server import MESSAGE_BYTES, load_or_end, serve_forks, start_anew
from exhausters.worker.protocol import WorkerConfig


def main(control_fd: int, program: str, *, common: object = None) -> None:
    """Import, then serve requests until the other end closes; does not return.

    A request is `{"run_dir": …, "tmp": …}`, with the ends of a supervisor's sockets and its log. `common` is
    what was imported before this process was forked (`base.py`); None when nothing was.
    """
    control = socket.socket(fileno=control_fd)
    module: Any = importlib.import_module(program)
    config: WorkerConfig = pickle.loads(control.recv(MESSAGE_BYTES))
    given = () if common is None else (common,)
    loaded = load_or_end(control, lambda: module.load(config, *given), run_dir=config.run_dir)

    def become_supervisor(fds: list[int], asked: dict[str, Any]) -> None:
        data_fd, life_fd, log_fd = fds
        start_anew(log_fd, asked["tmp"])
        supervisor.main(data_fd, life_fd, asked["run_dir"], lambda fd: int(module.main(fd, loaded)))

    serve_forks(control, become_supervisor, run_dir=config.run_dir)
