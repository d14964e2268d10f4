"""A process that has imported what engines import of their environment, and forks templates; see `Base`.

Of the time that importing SGLang takes, most goes to what is installed beside it (torch, transformers),
which is the same for every build that an environment serves. This process imports that once; each fork of it
becomes a template of one build, as if `supervisor.py` had been started as one.
"""

from __future__ import annotations

import importlib
import os
import pickle
import socket
import sys
from typing import Any

from exhausters.worker import template
from exhausters.worker.fork_server import MESSAGE_BYTES, load_or_end, serve_forks, start_anew
from exhausters.worker.protocol import BaseConfig


def main(control_fd: int, program: str) -> None:
    """Import, then serve requests until the other end closes; does not return.

    A request is `{"environment": {…}, "tmp": …}`, with the template's end of its own socket, and its log.
    """
    control = socket.socket(fileno=control_fd)
    module: Any = importlib.import_module(program)
    config: BaseConfig = pickle.loads(control.recv(MESSAGE_BYTES))
    before = dict(os.environ)
    common = load_or_end(
        control, lambda: module.load_common(config.engine, config.clock), run_dir=config.run_dir
    )

    def become_template(fds: list[int], asked: dict[str, Any]) -> None:
        control_of_template, log_fd = fds
        start_anew(log_fd, asked["tmp"])
        _take_environment(asked["environment"], before)
        template.main(control_of_template, program, common=common)

    serve_forks(control, become_template, run_dir=config.run_dir)


def _take_environment(environment: dict[str, str], before: dict[str, str]) -> None:
    """Have the variables that a process of its own would have, those that imports set among them."""
    for name in before.keys() - environment.keys():
        os.environ.pop(name, None)
    for name in os.environ.keys() - before.keys():
        # Below the folder for temporary files, as torch's cache of compiled code.
        os.environ[name] = os.environ[name].replace(before["TMPDIR"], environment["TMPDIR"])
    os.environ.update(environment)
    # Read by the interpreter when it starts.
    sys.pycache_prefix = environment.get("PYTHONPYCACHEPREFIX")
