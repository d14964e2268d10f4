"""The one place that imports Ray: connects to a cluster or starts one here, and starts and ends actors."""

from __future__ import annotations

import importlib
import logging
import os
import signal
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from exhausters.errors import ClusterError
from exhausters.extras import require_extra

# Records travel through the object store; a long one takes some megabytes.
_OBJECT_STORE_BYTES = 200_000_000
# Of a Ray that is started here. It would report to its makers that it was started, and run actors at a
# niceness of 15, with which they wait for everything else on the machine.
_LOCAL_SETTINGS = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}
# Every node has it; its value is what Ray calls the node (docs.ray.io, "Use labels to control scheduling").
_NODE_LABEL = "ray.io/node-id"
# For actors to end their workers before they are killed.
_END_SECONDS = 20.0


class LostError(Exception):
    """The actor that was called is no more; only between a session and who uses it."""


class RaySession:
    """A connection to Ray; a context manager that ends what it has started.

    Without an address Ray is started on this machine, for this process alone, and stopped at the end.
    """

    def __init__(self, address: str | None = None, *, cpus: int | None = None) -> None:
        """Connect.

        Args:
            address: of a cluster, such as `auto` on one of its nodes; None starts one here.
            cpus: how many actors a Ray that is started here has room for; None for one per core.

        Raises:
            ClusterError: nothing answers at the address, or Ray cannot be started.
            MissingExtraError: Ray is not installed.
        """
        self._ray = _import_ray()
        self._is_ours = not self._ray.is_initialized()
        self._actors: list[Any] = []
        if not self._is_ours:
            return
        options: dict[str, Any] = {"address": address}
        if address is None:
            for name, value in _LOCAL_SETTINGS.items():
                os.environ.setdefault(name, value)
            options = {
                "address": "local",
                "num_cpus": cpus or len(os.sched_getaffinity(0)),
                "include_dashboard": False,
                "object_store_memory": _OBJECT_STORE_BYTES,
            }
        try:
            self._connect(options)
        except Exception as error:  # Ray raises all kinds, and plain ones
            self._ray.shutdown()
            raise ClusterError(
                f"Ray at {address or 'this machine'}: {_first_line(error)}; start it with "
                "`ray start --head`, and give the address that it prints"
            ) from error

    def _connect(self, options: Mapping[str, Any]) -> None:
        """Connect; try twice to start Ray, which gives up after half a minute even where all is only busy."""
        for is_last in (options["address"] != "local", True):
            try:
                with _signals_kept():
                    self._ray.init(log_to_driver=False, logging_level=logging.ERROR, **options)
                return
            except Exception:
                if is_last:
                    raise
                self._ray.shutdown()

    @property
    def cpu_count(self) -> int:
        """How many CPUs all nodes have that are there now."""
        return int(self._ray.cluster_resources().get("CPU", 0))

    @property
    def nodes(self) -> frozenset[str]:
        """What Ray calls the nodes that have a CPU and are there, as far as it has noticed."""
        return frozenset(
            node["NodeID"]
            for node in self._ray.nodes()
            if node["Alive"] and node["Resources"].get("CPU", 0) >= 1
        )

    def start(
        self,
        body: type,
        *args: Any,
        node: str | None = None,
        elsewhere: Collection[str] = (),
        **keywords: Any,
    ) -> Any:
        """Start an actor.

        Args:
            body: its class.
            args: what that is made with, as are `keywords`.
            node: beside others on this node; without one, on a core of its own on any node.
            elsewhere: but on none of these nodes.
        """
        options: dict[str, Any] = {"num_cpus": 1, "max_concurrency": 2, "scheduling_strategy": "SPREAD"}
        if elsewhere:
            options["label_selector"] = {_NODE_LABEL: f"!in({','.join(sorted(elsewhere))})"}
        if node is not None:
            strategies = importlib.import_module("ray.util.scheduling_strategies")
            strategy = strategies.NodeAffinitySchedulingStrategy(node, soft=False)
            options = {"num_cpus": 0, "scheduling_strategy": strategy}
        actor = self._ray.remote(body).options(max_restarts=0, **options).remote(*args, **keywords)
        self._actors.append(actor)
        return actor

    def wait(self, calls: Sequence[Any], seconds: float) -> Any | None:
        """Return a call that has ended, or None after so many seconds."""
        ended, _ = self._ray.wait(list(calls), num_returns=1, timeout=seconds)
        return ended[0] if ended else None

    def result(self, call: Any) -> Any:
        """Return what a call that has ended returned, or raise what it raised.

        Raises:
            LostError: its actor is no more, or never came up.
        """
        errors = importlib.import_module("ray.exceptions")
        try:
            return self._ray.get(call)
        except errors.RayTaskError as error:
            raise error.cause from error
        except errors.RayError as error:
            raise LostError(_first_line(error)) from error

    def end(self, actor: Any) -> None:
        """Kill an actor that is of no use any more; harmless when it is gone."""
        self._actors.remove(actor)
        self._ray.kill(actor)

    def end_all(self, closing: Sequence[Callable[[], Any]]) -> None:
        """Make these calls, wait for them a while, and kill all actors."""
        try:
            calls = [call() for call in closing]
            if calls:
                self._ray.wait(calls, num_returns=len(calls), timeout=_END_SECONDS)
        finally:
            for actor in list(self._actors):
                self.end(actor)

    def close(self) -> None:
        """Disconnect; a Ray that was started here ends."""
        if self._is_ours:
            self._ray.shutdown()


def _import_ray() -> Any:
    require_extra("ray", what="the engine ray")
    with _signals_kept():
        return importlib.import_module("ray")


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Put SIGTERM's handler back: Ray takes it for itself, where a command of ours ends as after Ctrl-C."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        # In two steps: Python takes the handler it knows for the one that is set, where Ray's is one of C++.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, before)


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
