"""Owns the bases of a command: each has imported what builds share, and forks a template for each build."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from exhausters.engine.load import ambient_prefixes
from exhausters.engine.settings import HostSettings
from exhausters.targets import PreparedTarget
from exhausters.worker.environment import worker_environment
from exhausters.worker.forking import ForkedProcess, ForkServer, start_server
from exhausters.worker.protocol import BaseConfig

# One for each environment and clock. A range of commits has few of them at a time; each takes 400 MB, which
# it shares with what it has forked.
MAX_BASES = 2


class Base:
    """A process that has imported what is installed beside an engine, and forks templates of its builds."""

    def __init__(self, target: PreparedTarget, settings: HostSettings) -> None:
        """Start it; it imports while the caller goes on, and the first fork waits for that."""
        self._needs = _needs(target, settings)
        self._run_dir = Path(tempfile.mkdtemp(prefix="exhausters-"))
        environment = worker_environment(target, self._run_dir)
        config = BaseConfig(engine=target.engine, clock=settings.clock, run_dir=str(self._run_dir))
        try:
            with (self._run_dir / "base.log").open("wb") as log:
                self._server = ForkServer(
                    lambda control: start_server("base", target, environment, control, log), config
                )
        except BaseException:
            shutil.rmtree(self._run_dir, ignore_errors=True)
            raise

    @property
    def has_gone(self) -> bool:
        """Whether a fork was asked for in vain."""
        return self._server.has_gone

    @staticmethod
    def is_possible(target: PreparedTarget, settings: HostSettings) -> bool:
        """Whether a template may be a fork: no variable may change what a base has imported."""
        return all(name.startswith(ambient_prefixes(target.engine)) for name in settings.environment)

    def fits(self, target: PreparedTarget, settings: HostSettings) -> bool:
        """Whether these settings need the same imports."""
        return self._needs == _needs(target, settings)

    def fork(
        self, environment: Mapping[str, str], control_fd: int, log_fd: int, *, timeout_seconds: float
    ) -> ForkedProcess | None:
        """Fork a template; None when this cannot import, or has gone."""
        asked = {"environment": dict(environment), "tmp": environment["TMPDIR"]}
        forked = self._server.fork(asked, (control_fd, log_fd), timeout_seconds=timeout_seconds)
        return None if forked is None else ForkedProcess(self._server, *forked)

    def interrupt(self) -> None:
        """End it at once, from any thread; its forks live on."""
        self._server.interrupt()

    def close(self) -> None:
        """End it and remove its files; its forks live on."""
        self._server.close()
        shutil.rmtree(self._run_dir, ignore_errors=True)


class Bases:
    """Keeps the last few bases; shared by threads; a context manager that ends all of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: list[Base] = []  # longest unused first
        self._lost: list[object] = []  # what a base was needed for that has gone
        self._is_interrupted = False

    def of(self, target: PreparedTarget, settings: HostSettings) -> Base | None:
        """Return what a template for these settings is forked from; None where it can be no fork."""
        if not Base.is_possible(target, settings):
            return None
        with self._lock:
            if self._is_interrupted:
                return None
            found = next((one for one in self._kept if one.fits(target, settings)), None)
            if found is not None and found.has_gone:
                # Once more: it may have been killed. What cannot import once will not the next time.
                needs = _needs(target, settings)
                if needs in self._lost:
                    return None
                self._lost.append(needs)
                self._kept.remove(found)
                found.close()
                found = None
            if found is None:
                while len(self._kept) >= MAX_BASES:
                    self._kept.pop(0).close()
                found = Base(target, settings)
            else:
                self._kept.remove(found)
            self._kept.append(found)
            return found

    def interrupt(self) -> None:
        """End all at once, from any thread; templates that wait for one are started without."""
        with self._lock:
            self._is_interrupted = True
            for one in self._kept:
                one.interrupt()

    def close(self) -> None:
        """End all."""
        with self._lock:
            self._is_interrupted = True
            kept, self._kept = self._kept, []
        for one in kept:
            with suppress(OSError):
                one.close()

    def __enter__(self) -> Bases:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _needs(target: PreparedTarget, settings: HostSettings) -> object:
    """What is fixed once the packages beside an engine are imported."""
    return target.python, target.engine, settings.clock
