"""What kind of machine measured: host times of different kinds are not compared."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

_CPU_INFO = Path("/proc/cpuinfo")
_MODEL = re.compile(r"^model name\s*:\s*(.+)$", re.MULTILINE)


def machine_kind() -> str:
    """Return processor, cores and architecture; no name of a host, which says nothing about its speed."""
    try:
        found = _MODEL.search(_CPU_INFO.read_text())
    except OSError:
        found = None
    model = found.group(1).strip() if found else platform.processor() or "unknown processor"
    return f"{model}, {len(os.sched_getaffinity(0))} cores, {platform.machine()}"
