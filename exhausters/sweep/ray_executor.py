"""Execute planned runs on the nodes of a Ray cluster: an actor for each booted worker."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from types import TracebackType

from exhausters.errors import UsageError
from exhausters.sweep.execute import KnownResults, with_known_results
from exhausters.sweep.plan import Task
from exhausters.sweep.ray_crew import Crew, Say
from exhausters.sweep.ray_session import RaySession
from exhausters.sweep.record import RunRecord


class RayExecutor:
    """Executes tasks on a Ray cluster, one per actor at a time; a context manager that disconnects.

    Raises:
        ClusterError: Ray is not there.
        MissingExtraError: Ray is not installed.
        UsageError: fewer than one worker, or more than the cluster has CPUs.
    """

    def __init__(
        self,
        workers: int | None = None,
        *,
        address: str | None = None,
        cache: KnownResults | None = None,
        say: Say = lambda said: None,
    ) -> None:
        """Connect, and execute `workers` tasks in parallel; None means one per CPU of the cluster.

        Without an address Ray is started on this machine. With a cache, as `LocalExecutor`; it is on this
        machine. `say` is told of nodes and places that are lost.
        """
        if workers is not None and workers < 1:
            raise UsageError(f"workers={workers}: expected an integer >= 1, or None for one per CPU")
        self._cache = cache
        self._say = say
        self._session = RaySession(address, cpus=workers)
        cpus = self._session.cpu_count
        self._workers = workers or cpus
        if not 1 <= self._workers <= cpus:
            self._session.close()
            raise UsageError(f"workers={workers}: expected at most {cpus}, the CPUs of this Ray cluster")

    @property
    def workers(self) -> int:
        """How many tasks are executed in parallel."""
        return self._workers

    def run(self, tasks: Sequence[Task]) -> Generator[RunRecord, None, None]:
        """Yield a record per run as it ends, as `Executor.run` says; raises unforeseen errors.

        A run whose actor or node is lost is made again elsewhere, a few times; then its record says so.

        Raises:
            CacheError: a cached result that was to be verified is not what the run gave.
            ClusterError: no node can run the target, or no actor comes up.
            UsageError: pairs of builds.
        """
        return with_known_results(self._cache, tasks, self._execute)

    def close(self) -> None:
        """Disconnect; a Ray that was started here ends."""
        self._session.close()

    def __enter__(self) -> RayExecutor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _execute(self, tasks: Sequence[Task]) -> Generator[RunRecord, None, None]:
        crew = Crew(self._session, tasks, self._cache, self._say, places=min(self._workers, len(tasks)))
        try:
            yield from crew.records()
        finally:
            crew.close()
