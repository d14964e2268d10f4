"""Fork the further ranks of an engine from the worker that has its imports, and see how they end.

They are children of the first rank and members of its process group: they end with it, and the supervisor
kills what is left of the group.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection

from exhausters.engine.api import Place, World
from exhausters.worker.exit_status import describe_end
from exhausters.worker.supervisor import end_with, end_with_parent

# Runs a rank in its own process, and returns its exit code.
Follow = Callable[[Place, Connection], int]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RankProcess:
    """A forked rank.

    Attributes:
        place: which rank it is.
        pid: its process id.
        handle: a file that is readable once it has ended.
        link: to it.
    """

    place: Place
    pid: int
    handle: int
    link: Connection

    def ended(self, *, within_seconds: float = 0.0) -> str | None:
        """Say how the process ended; None when it runs on. To be asked once."""
        if not select.select([self.handle], [], [], within_seconds)[0]:
            return None
        try:
            _, status = os.waitpid(self.pid, 0)
        except ChildProcessError:
            return "ended"
        return describe_end(os.waitstatus_to_exitcode(status))


def fork_ranks(world: World, follow: Follow, *, private: Connection) -> list[RankProcess]:
    """Fork every rank but the first, which is this process.

    Args:
        world: all ranks.
        follow: runs one of them.
        private: of this process alone: the host takes its end for the end of the worker.
    """
    # SGLang sends it to the parent of a rank that raises, which is this process: the message of that rank
    # says more.
    signal.signal(signal.SIGQUIT, signal.SIG_IGN)
    parent_pid = os.getpid()
    made: list[RankProcess] = []
    for rank in range(1, world.size):
        ours, theirs = socket.socketpair()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            for fd in (private.fileno(), ours.fileno(), *(fd for one in made for fd in _files(one))):
                os.close(fd)
            own, link = world.place(rank), Connection(theirs.detach())
            end_with(partial(_run, own, follow, link, parent_pid))
        theirs.close()
        link = Connection(ours.detach())
        made.append(RankProcess(place=world.place(rank), pid=pid, handle=os.pidfd_open(pid), link=link))
    return made


def _files(process: RankProcess) -> Sequence[int]:
    return process.handle, process.link.fileno()


def _run(place: Place, follow: Follow, link: Connection, parent_pid: int) -> int:
    """Be a rank, in its own process; 1 when the first rank has ended already."""
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    return follow(place, link) if end_with_parent(parent_pid) else 1
