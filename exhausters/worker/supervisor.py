"""The thin process between a host and its worker; standard library only.

SGLang's scheduler sends SIGQUIT to its parent when it raises. This process is that parent, so the
signal never reaches the caller's shell, test runner or benchmark. It forks the worker before
anything heavy is imported, waits for it, reports to the host how it ended, and leaves nothing behind:
when the host goes away (its end of the life socket closes) the worker is killed, and the last act is
to kill whatever else the worker started and to delete the run folder.

Started as a script: `python -P supervisor.py DATA_FD LIFE_FD RUN_DIR PROGRAM`, where PROGRAM is a module with
a `main(data_fd)` that returns the exit code. It is imported in the worker only. As `supervisor.py template
CONTROL_FD PROGRAM` it becomes a template (see `template.py`), whose forks call `main` here, and with `base` a
process that forks templates (see `base.py`).
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import importlib.util
import json
import os
import select
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

# linux/prctl.h
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def load_own_package() -> None:
    """Make `exhausters` importable without putting its folder, and all beside it, on the path."""
    folder = Path(__file__).resolve().parent.parent
    spec = importlib.util.spec_from_file_location(
        "exhausters", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot load the exhausters package from {folder}")
    module = importlib.util.module_from_spec(spec)
    sys.modules["exhausters"] = module
    spec.loader.exec_module(module)


def _import_and_run(program: str, data_fd: int) -> int:
    load_own_package()
    code: int = importlib.import_module(program).main(data_fd)
    return code


def end_with_parent(parent_pid: int) -> bool:
    """Let the kernel kill this process when its parent ends; False if the parent has ended already."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    return os.getppid() == parent_pid


def _run_worker(work: Callable[[int], int], data_fd: int, supervisor_pid: int) -> int:
    if not end_with_parent(supervisor_pid):  # it died between fork and prctl
        return 1
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)
    return work(data_fd)


def _wait(child_fd: int, child: int, life: socket.socket) -> None:
    """Return when the worker has ended, killing it first if the host went away."""
    poll = select.poll()
    poll.register(child_fd, select.POLLIN)
    poll.register(life.fileno(), select.POLLIN | select.POLLHUP)
    while True:
        for fd, _event in poll.poll():
            if fd == child_fd:
                return
            # The host never writes here: anything readable is its end of the socket closing.
            os.kill(child, signal.SIGKILL)
            poll.unregister(fd)


def _end_adopted() -> None:
    """Kill what the worker has left, and wait for it: as a subreaper this process is its parent by now."""
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children")
    # Again and again: what they leave behind comes here in turn. Without such a file they are killed with the
    # group, and the system waits for them.
    with contextlib.suppress(OSError, ChildProcessError):
        while True:
            for pid in children.read_text().split():
                os.kill(int(pid), signal.SIGKILL)
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                time.sleep(0.01)


def _report(life: socket.socket, status: int, sigquits: int) -> None:
    ended = {"exit_code": os.waitstatus_to_exitcode(status), "sigquits": sigquits}
    with contextlib.suppress(OSError):  # the host is gone: nobody is left to read it
        life.sendall(json.dumps(ended).encode())


def end_with(work: Callable[[], int]) -> NoReturn:
    """Do the work of a forked process, and end it with the exit code that comes of it."""
    code = 1
    try:
        code = work()
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        # No interpreter shutdown: SGLang leaves non-daemon threads that would hold it up.
        os._exit(code)


def main(data_fd: int, life_fd: int, run_dir: str, work: Callable[[int], int]) -> None:
    """Fork the worker, which does `work` and ends with its exit code; wait for it, report, clean up.

    Does not return.
    """
    sigquits: list[int] = []
    signal.signal(signal.SIGQUIT, lambda number, _frame: sigquits.append(number))
    # A terminal's Ctrl-C is the host's business; the host closes the life socket when it ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    own_pid = os.getpid()
    child = os.fork()
    if child == 0:
        os.close(life_fd)
        end_with(lambda: _run_worker(work, data_fd, own_pid))
    os.close(data_fd)
    life = socket.socket(fileno=life_fd)
    _wait(os.pidfd_open(child), child, life)
    _, status = os.waitpid(child, 0)
    _end_adopted()
    _report(life, status, len(sigquits))
    # Until the host has read the status and the log, or is gone (perhaps without having read them).
    with contextlib.suppress(ConnectionResetError):
        life.recv(1)
    shutil.rmtree(run_dir, ignore_errors=True)
    os.killpg(0, signal.SIGKILL)


def _become(role: str, control_fd: int, program: str) -> None:
    load_own_package()
    importlib.import_module(f"exhausters.worker.{role}").main(control_fd, program)


if __name__ == "__main__":
    if sys.argv[1] in ("template", "base"):
        _become(sys.argv[1], int(sys.argv[2]), sys.argv[3])
    else:
        _program = sys.argv[4]
        main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], lambda fd: _import_and_run(_program, fd))
