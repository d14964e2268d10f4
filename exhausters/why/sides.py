"""Two booted builds that run the same thing at the same time."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from exhausters.errors import UsageError
from exhausters.sweep.cell import EngineSettings
from exhausters.sweep.plan import CELL_TIMEOUT_SECONDS
from exhausters.sweep.workers import Workers
from exhausters.targets import PreparedTarget
from exhausters.worker.protocol import ScriptRef


class Sides:
    """Runs scripts on base and head; a context manager that gives the workers back.

    Raises:
        UsageError: base and head are one build.
    """

    def __init__(self, owner: Workers, base: PreparedTarget, head: PreparedTarget) -> None:
        """Borrow from `owner`; nothing is booted before the first run."""
        if base == head:
            raise UsageError(f"{base.name} against itself: expected two builds; give the second another name")
        self.base, self.head = base, head
        self._leases = [owner.lease() for _ in (base, head)]
        self._threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="side")

    def run(
        self,
        engine: EngineSettings,
        script: Callable[..., Any] | ScriptRef,
        *args: Any,
        timeout_seconds: float = CELL_TIMEOUT_SECONDS,
    ) -> tuple[Any, Any]:
        """Return what a script returned on base and on head.

        Raises:
            ExhaustersError: a build does not boot, or the script fails on one of them (base's error first).
        """
        ours, theirs = self.start(engine, script, *args, timeout_seconds=timeout_seconds)
        return ours(), theirs()

    def start(
        self,
        engine: EngineSettings,
        script: Callable[..., Any] | ScriptRef,
        *args: Any,
        timeout_seconds: float = CELL_TIMEOUT_SECONDS,
    ) -> tuple[Callable[[], Any], Callable[[], Any]]:
        """Start a script on both, wait for both, and return two functions that give or raise its result."""

        def run_on(place: int) -> Any:
            host = self._leases[place].host((self.base, self.head)[place], engine)
            return host.run(script, *args, timeout_seconds=timeout_seconds)

        running = [self._threads.submit(run_on, place) for place in (0, 1)]
        for one in running:
            one.exception()  # waits; neither side is left running when the other has failed
        return running[0].result, running[1].result

    def __enter__(self) -> Sides:
        return self

    def __exit__(self, *error: Any) -> None:
        for lease in self._leases:
            lease.__exit__(*error)
        self._threads.shutdown(wait=True)
