"""`exhausters` in a process of its own, with workers that are real processes and run the fake engine.

    python -m tests.compare.fake_command FAULT compare release:BASE release:HEAD …

FAULT is what becomes of head's first run of the second stage, or of its boot; see `_FAULTS`.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import exhausters.targets
from exhausters.cli.app import app
from exhausters.sweep import workers
from exhausters.sweep.run_options import COUNTED, DECIDE
from exhausters.targets import PreparedTarget
from exhausters.worker.host import Host
from tests.fakes.fake_target import fake_target

HEAD = "release:0.5.23"
RUNNING = "head runs its second stage"


def _kill(host: Host) -> None:
    os.kill(host.worker_pid, signal.SIGKILL)


def _stop(host: Host) -> None:
    os.kill(host.worker_pid, signal.SIGSTOP)


def _wait(host: Host) -> None:
    # So that Ctrl-C, or a second command, comes while it runs.
    print(RUNNING, file=sys.stderr, flush=True)
    time.sleep(60)


_FAULTS: dict[str, Callable[[Host], None]] = {
    "crash": _kill,
    "hang": _stop,
    "wait": _wait,
    "none": lambda host: None,
    "boot": lambda host: None,
}


def _prepare(text: str, **_more: Any) -> PreparedTarget:
    folder = Path(os.environ["TMPDIR"]) / "sources" / text.removeprefix("release:")
    (folder / "sglang" / "srt").mkdir(parents=True, exist_ok=True)
    (folder / "sglang" / "srt" / "changed.py").write_text(f"def f():\n    return {text!r}\n")
    target = replace(fake_target(), name=text, version=text, source_dirs=(folder,))
    if text == HEAD and sys.argv[1] == "boot":
        return replace(target, python=Path(shutil.which("false") or "/bin/false"))
    return target


class _Host(Host):
    """A host whose worker meets the fault; counting is left out, since it needs torch."""

    def run(self, script: Any, *args: Any, **more: Any) -> Any:
        if len(args) == 3 and hasattr(args[2], "passes"):
            options = args[2]
            if self.target.name == HEAD and options.passes == (COUNTED,) and not _met:
                _met.append(True)
                _FAULTS[sys.argv[1]](self)
            passes = tuple(DECIDE if name == COUNTED else name for name in options.wanted_passes)
            args = (*args[:2], replace(options, passes=passes))
        return super().run(script, *args, **{**more, "timeout_seconds": 5.0})


_met: list[bool] = []

if __name__ == "__main__":
    exhausters.targets.prepare = _prepare  # type: ignore[assignment]
    workers.Host = _Host  # type: ignore[misc,attr-defined]
    app(sys.argv[2:], prog_name="exhausters")
