"""What runs on the nodes of a Ray cluster: one process per booted worker, and one per node that prepares."""

from __future__ import annotations

import importlib
import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from exhausters.engine.api import ImportedSources
from exhausters.errors import ClusterError
from exhausters.sweep.cache_key import harness_digest
from exhausters.sweep.execute import record_of
from exhausters.sweep.plan import PlannedRun
from exhausters.sweep.record import CellResult, RunRecord
from exhausters.sweep.workers import Workers
from exhausters.targets import PreparedTarget, prepare
from exhausters.worker import extensions
from exhausters.worker.protocol import ScriptRef

# What a target must have in common on all nodes; the rest are places on the disk of one.
_SAME = ("name", "version", "commit", "dirty", "changes", "environment_key", "engine")
# For a run that is interrupted, or a worker that is asked to end.
_END_SECONDS = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What came of one run.

    Attributes:
        record: its record.
        sources: what its worker has imported; None unless it was asked for and the run succeeded.
    """

    record: RunRecord
    sources: ImportedSources | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an actor is.

    Attributes:
        node: what Ray calls it.
        host: name of the machine, for people.
    """

    node: str
    host: str


class BootedWorker:
    """Body of an actor that has at most one booted worker, and makes one run at a time on it.

    `run` and `close` are called on threads of their own.
    """

    def __init__(self, extra: Sequence[ScriptRef] = (), *, wants_sources: bool = False) -> None:
        """Register the exhausters of the driver's process; `wants_sources` has runs say what was imported."""
        for reference in extra:
            extensions.add(reference)
        self._wants_sources = wants_sources
        self._workers = Workers(limit=1)
        self._busy = threading.Lock()

    def where(self) -> Place:
        """Return where this actor is."""
        return Place(node=_node(), host=socket.gethostname())

    def run(self, run: PlannedRun) -> Ran | None:
        """Make one run; None if it was interrupted."""
        kept = _Sources() if self._wants_sources else None
        with self._busy, self._workers.lease() as lease:
            record = record_of(lease, run, kept)
        if self._workers.is_interrupted:
            return None
        return Ran(record=record, sources=None if kept is None else kept.sources)

    def close(self) -> None:
        """End the run under way, if there is one, and the worker; leave no process and no file."""
        self._workers.interrupt()
        is_over = self._busy.acquire(timeout=_END_SECONDS)
        try:
            self._workers.close()
        finally:
            if is_over:
                self._busy.release()


class NodeTargets:
    """Body of the one actor of each node that prepares targets there."""

    def prepare(self, wanted: Sequence[PreparedTarget], harness: str) -> dict[str, PreparedTarget]:
        """Return targets as they are on this node, by name, given as they are where the command runs.

        Args:
            wanted: the targets.
            harness: digest of the command's harness.

        Raises:
            ClusterError: this node has another harness, or other sources or packages by that name.
            ExhaustersError: what `prepare` raises.
        """
        host = socket.gethostname()
        if harness_digest() != harness:
            raise ClusterError(
                f"{host} has another version of the harness: install the same one on all nodes"
            )
        return {target.name: _same(prepare(target.spec), target, host) for target in wanted}


def _same(here: PreparedTarget, there: PreparedTarget, host: str) -> PreparedTarget:
    for name in _SAME:
        found, wanted = getattr(here, name), getattr(there, name)
        if found != wanted:
            raise ClusterError(
                f"{there.spec.text} on {host} has {name}={found!r}, where the command runs it is {wanted!r}: "
                "give all nodes the same files and the same Python"
            )
    return here


def _node() -> str:
    node: str = importlib.import_module("ray").get_runtime_context().get_node_id()
    return node


class _Sources:
    """Keeps what a run has imported until it is sent back."""

    def __init__(self) -> None:
        self.sources: ImportedSources | None = None

    def keep(self, run: PlannedRun, result: CellResult, sources: ImportedSources) -> None:
        self.sources = sources
