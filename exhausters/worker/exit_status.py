"""How a worker ended, as reported by the operating system."""

from __future__ import annotations

import signal
from pathlib import Path

_CGROUP_EVENTS = Path("/sys/fs/cgroup/memory.events")


def describe_end(exit_code: int | None) -> str:
    """Say in words what an exit code means; None stands for no report at all."""
    if exit_code is None:
        return "killed together with its supervisor"
    if exit_code < 0:
        return f"killed by {signal.Signals(-exit_code).name}"
    return f"exit code {exit_code}"


def kernel_kills() -> int:
    """Kernel out-of-memory kills in this process's control group (0 where it is not reported)."""
    try:
        fields = dict(line.split() for line in _CGROUP_EVENTS.read_text().splitlines())
    except (OSError, ValueError):
        return 0
    return int(fields.get("oom_kill", 0))
