"""The one owner of booted workers: boots, lends, replaces and closes them, and remembers failed boots."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from copy import copy
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import TypeVar

from exhausters.engine.settings import HostSettings
from exhausters.errors import ExhaustersError, UsageError
from exhausters.sweep.cell import EngineSettings
from exhausters.targets import PreparedTarget, prepare
from exhausters.worker.bases import Bases
from exhausters.worker.host import Host
from exhausters.worker.templates import Templates

_Value = TypeVar("_Value")


def boot(
    target: PreparedTarget,
    engine: EngineSettings,
    *,
    clock: str = "virtual",
    record_boot: bool = False,
    templates: Templates | None = None,
    on_started: Callable[[Host], None] | None = None,
) -> Host:
    """Boot one worker with a cell's engine settings, as a fork where there are templates.

    Raises what `Host` does.
    """
    settings = HostSettings(
        engine=engine.engine_keywords(),
        switches=dict(engine.server_args),
        environment={name: str(value) for name, value in engine.env},
        clock=clock,
        model=engine.model,
        tree_core=engine.tree_core,
        speculative_accept=engine.speculative_accept,
        record_boot=record_boot,
    )
    if templates is None:
        return Host(target, settings, on_started=on_started)
    with templates.borrow(target, settings) as template:
        return Host(target, settings, template=template, on_started=on_started)


@dataclass(frozen=True, slots=True)
class _Key:
    """What a worker was booted with; workers with equal keys are interchangeable."""

    target: PreparedTarget
    engine: EngineSettings
    clock: str
    boot: int = 0


@dataclass(slots=True)
class _Attempt:
    """The outcome of something that is tried once; the lock is held during the first try.

    What has succeeded before can succeed again: then, and only then, the first failure is retried once.
    """

    lock: threading.Lock = field(default_factory=threading.Lock)
    succeeded: bool = False
    error: ExhaustersError | None = None

    def first(self, act: Callable[[], _Value]) -> _Value:
        """Call `act`, one thread at a time until it succeeds once; after a failure raise its error again."""
        with self.lock:
            if not self.succeeded:
                return self._again(act)
        return self._again(act)

    def _again(self, act: Callable[[], _Value]) -> _Value:
        if self.error is not None:
            # A copy: threads would share one object, its traceback included.
            raise copy(self.error)
        try:
            value = act()
        except ExhaustersError as error:
            if not self.succeeded:
                self.error = error
                raise
            self.succeeded = False
            return self._again(act)
        self.succeeded = True
        return value


class Workers:
    """Owns every worker of a command; shared by threads; a context manager that closes all of them.

    A boot is tried once per target, engine settings and clock: after a failure, whatever its reason, each
    further request for such a worker raises the same error, so that all cells have one reason. Settings that
    have booted before are booted once more when a boot of them fails. Threads that request a worker while the
    first of its kind boots wait for the result of that boot.
    """

    def __init__(
        self,
        *,
        limit: int,
        on_boot: Callable[[str], None] = lambda said: None,
        bases: Bases | None = None,
    ) -> None:
        """Keep at most `limit` workers booted, except that a lease gets all it asks for.

        `bases` are those of a caller who keeps them for other workers, too; without them it has its own.

        `on_boot` is told in words when a boot begins and when it has ended, on the thread that boots; of the
        pairs of processes that a comparison boots for each round, it is told nothing.
        """
        self._on_boot = on_boot
        self._limit = limit
        # By its name at the time of a call, so that a double of `Host` brings its own.
        self._bases, self._has_own_bases = bases or Bases(), bases is None
        self._templates = Templates(lambda target, settings: Host.template(target, settings, self._bases))
        self._lock = threading.Lock()
        self._idle: list[tuple[_Key, Host]] = []  # longest unused first
        self._lent = 0  # workers that a lease holds, those that are being booted included
        self._running: set[Host] = set()
        self._attempts: dict[object, _Attempt] = {}
        self._prepared: dict[str, PreparedTarget] = {}
        self._interrupted = False

    @property
    def is_interrupted(self) -> bool:
        """Whether the workers were interrupted or closed: nothing is lent any more."""
        return self._interrupted

    def prepared(self, target: str) -> PreparedTarget:
        """Prepare a target, once.

        Raises:
            ExhaustersError: what `prepare` raised, also on every later call for this target.
        """

        def once() -> PreparedTarget:
            if target not in self._prepared:
                self._prepared[target] = prepare(target)
            return self._prepared[target]

        return self._attempt(target).first(once)

    def lease(self) -> Lease:
        """Return a context manager that lends workers until it ends."""
        return Lease(self)

    @contextmanager
    def lend(self, target: PreparedTarget, engine: EngineSettings) -> Iterator[Host]:
        """Lend one worker; raises what `Lease.host` raises."""
        with self.lease() as lease:
            yield lease.host(target, engine)

    def interrupt(self) -> None:
        """Make every run and boot that is under way fail at once, and lend nothing more.

        Callable from any thread; the threads that hold the workers then close them.
        """
        with self._lock:
            self._interrupted = True
            running = list(self._running)
        for host in running:
            host.interrupt()
        if self._has_own_bases:
            self._bases.interrupt()
        self._templates.interrupt()

    def close(self) -> None:
        """End all workers that are not lent, and lend nothing more."""
        with self._lock:
            self._interrupted = True
            idle, self._idle = self._idle, []
        with ExitStack() as closing:
            if self._has_own_bases:
                closing.callback(self._bases.close)
            closing.callback(self._templates.close)
            for _, host in idle:
                closing.callback(host.close)

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _take(self, key: _Key) -> Host:
        host, surplus = self._reserve(key)
        if host is not None:
            return host
        try:
            if surplus is not None:
                surplus.close()
            return self._attempt(replace(key, boot=0)).first(lambda: self._boot(key))
        except BaseException:
            with self._lock:
                self._lent -= 1
            raise

    def _reserve(self, key: _Key) -> tuple[Host | None, Host | None]:
        """Count one more as lent; return an idle worker, or none and one that must make room for a boot."""
        with self._lock:
            self._require_open()
            self._lent += 1
            for index, (known, host) in enumerate(self._idle):
                if known == key:
                    del self._idle[index]
                    self._running.add(host)
                    return host, None
            if self._idle and self._lent + len(self._idle) > self._limit:
                return None, self._idle.pop(0)[1]
            return None, None

    def _require_open(self) -> None:
        if self._interrupted:
            raise UsageError("the workers were closed: make new ones to go on")

    def _boot(self, key: _Key) -> Host:
        self._require_open()  # not between the two tries of a boot that was interrupted
        starting: list[Host] = []
        what, began = f"{key.target.name} with {key.engine.label}", time.monotonic()

        def started(host: Host) -> None:
            starting.append(host)
            with self._lock:
                self._running.add(host)
                interrupted = self._interrupted
            if interrupted:
                host.interrupt()

        try:
            if not key.boot:
                self._on_boot(f"booting {what}")
            host = boot(
                key.target,
                key.engine,
                clock=key.clock,
                templates=self._templates,
                on_started=started,
            )
            if not key.boot:
                self._on_boot(f"booted  {what} ({time.monotonic() - began:.0f} s)")
            return host
        except BaseException:
            with self._lock:
                self._running.difference_update(starting)
            raise

    def _give_back(self, key: _Key, host: Host, *, keep: bool) -> None:
        with self._lock:
            self._lent -= 1
            self._running.discard(host)
            keep = keep and host.is_usable and not self._interrupted
            if keep:
                self._idle.append((key, host))
        if not keep:
            host.close()

    def _attempt(self, what: object) -> _Attempt:
        with self._lock:
            return self._attempts.setdefault(what, _Attempt())


class Lease:
    """Workers for one task, one per target and engine settings; a context manager that gives them back."""

    def __init__(self, owner: Workers) -> None:
        self._owner = owner
        self._hosts: dict[_Key, Host] = {}

    def host(
        self, target: PreparedTarget, engine: EngineSettings, *, clock: str = "virtual", boot: int = 0
    ) -> Host:
        """Return a usable worker: the one lent before unless it has died, an idle one, or a new one.

        Workers of another `boot` are other processes: those that this lease has of an earlier one are ended.

        Raises:
            ExhaustersError: it cannot be booted; settings that failed to boot are not tried again.
        """
        key = _Key(target, engine, clock, boot)
        self._end_other_boots(engine, boot)
        known = self._hosts.get(key)
        if known is not None and known.is_usable:
            return known
        if known is not None:
            self._owner._give_back(key, self._hosts.pop(key), keep=False)
        self._hosts[key] = host = self._owner._take(key)
        return host

    def boot_together(
        self, wanted: Sequence[tuple[PreparedTarget, EngineSettings, str]], *, boot: int
    ) -> None:
        """Boot workers beside each other; of one that fails, `host` tells.

        Args:
            wanted: target, engine settings and clock of each; one or more, of equal engine settings.
            boot: as in `host`.
        """
        self._end_other_boots(wanted[0][1], boot)
        with ThreadPoolExecutor(max_workers=len(wanted), thread_name_prefix="boot") as pool:
            for future in [
                pool.submit(self.host, target, engine, clock=clock, boot=boot)
                for target, engine, clock in wanted
            ]:
                with suppress(ExhaustersError):
                    future.result()

    def _end_other_boots(self, engine: EngineSettings, boot: int) -> None:
        """End the pairs of processes before this one; workers of no pair are kept for others."""
        for key in list(self._hosts):
            if key.boot != boot or (boot and key.engine != engine):
                self._owner._give_back(key, self._hosts.pop(key), keep=not key.boot)

    def __enter__(self) -> Lease:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Anything but an error of ours (Ctrl-C, a mistake) may have left a script running in the worker.
        keep = error is None or isinstance(error, ExhaustersError)
        hosts, self._hosts = self._hosts, {}
        with ExitStack() as giving_back:
            for key, host in hosts.items():
                giving_back.callback(self._owner._give_back, key, host, keep=keep and not key.boot)
                if not keep:
                    giving_back.callback(host.interrupt)
