"""What a host leaves on the machine: processes, files, sockets."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from exhausters.worker.host import Host


@dataclass(frozen=True, kw_only=True)
class Footprint:
    """Everything that must be gone once a host has ended.

    Attributes:
        session_id: session and process group of the supervisor and all below it.
        pids: the processes that were seen while it lived.
        listening: TCP addresses they listened on.
        folder: the temporary folder that the host works in.
    """

    session_id: int
    pids: tuple[int, ...]
    listening: frozenset[tuple[str, int]]
    folder: Path

    @classmethod
    def of(cls, host: Host, folder: Path) -> Footprint:
        pids = tuple(_session_members(host.pid))
        return cls(session_id=host.pid, pids=pids, listening=_listening(pids), folder=folder)

    def left_behind(self) -> list[str]:
        """One line for each thing that is still there."""
        left = [f"process {pid}" for pid in _session_members(self.session_id)]
        left += [f"process {pid}" for pid in self.pids if psutil.pid_exists(pid)]
        left += [f"file {path}" for path in self.folder.rglob("*")]
        left += [
            f"socket {one.laddr}"
            for one in psutil.net_connections("unix")
            if str(one.laddr).startswith(str(self.folder))
        ]
        everyone = frozenset(
            tuple(one.laddr) for one in psutil.net_connections("tcp") if one.status == psutil.CONN_LISTEN
        )
        left += [f"socket {address}" for address in self.listening & everyone]
        return left


def _session_members(session_id: int) -> list[int]:
    found = []
    for pid in psutil.pids():
        try:
            if session_id in (os.getsid(pid), os.getpgid(pid)):
                found.append(pid)
        except ProcessLookupError:
            continue
    return found


def _listening(pids: tuple[int, ...]) -> frozenset[tuple[str, int]]:
    addresses = set()
    for pid in pids:
        for one in psutil.Process(pid).net_connections("tcp"):
            if one.status == psutil.CONN_LISTEN:
                addresses.add(tuple(one.laddr))
    return frozenset(addresses)


def wait_until(condition: Callable[[], bool], *, seconds: float = 30.0) -> bool:
    """Whether the condition came true in time; the limit only bounds a failing test."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return condition()
