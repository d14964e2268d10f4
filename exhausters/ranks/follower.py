"""Runs in the process of every rank but the first: its scheduler, and a hook that waits for the first."""

from __future__ import annotations

import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from exhausters.engine.api import Boot, Engine, Place
from exhausters.engine.clock import RealClock, VirtualClock
from exhausters.engine.settings import HostSettings
from exhausters.ranks.acts import Acts
from exhausters.ranks.messages import Act, End, Go, RankFailed, RankState, Started, StepReport


class FollowerHook:
    """The engine calls it as it calls the hook of the first rank; each `step` is one report and one wait."""

    def __init__(
        self, engine: Engine, link: Connection, clock: VirtualClock | RealClock, *, has_own_requests: bool
    ) -> None:
        """See the class.

        Args:
            engine: the engine of this rank.
            link: to the first rank.
            clock: the clock of this process.
            has_own_requests: whether it gets requests that the first rank does not.
        """
        self._engine = engine
        self._link = link
        self._clock = clock
        self._has_own_requests = has_own_requests
        self._acts = Acts(engine, has_own_requests=has_own_requests)
        self._error: Exception | None = None

    def step(self) -> None:
        """Tell what the iteration that has ended decided, and act as the first rank says until it says go.

        Raises:
            SystemExit: it says end, or is gone.
        """
        try:
            self._report()
            self._attempt(self._acts.pressure.reapply)
            while not isinstance(message := self._link.recv(), Go):
                if isinstance(message, End):
                    raise SystemExit(0)
                self._do(message)
        except (EOFError, OSError):
            raise SystemExit(0) from None
        self._clock.advance_ns(max(0, message.elapsed_ns - self._clock.elapsed_ns))

    def on_run_batch(self, native: Any) -> None:
        """Note the batch that is about to run."""
        batch = self._engine.view_batch(native)
        if self._acts.recorder is not None:
            self._acts.recorder.on_run_batch(batch)

    def _report(self) -> None:
        step = self._attempt(self._acts.end_step)
        state = self._state() if self._has_own_requests else None
        error, self._error = self._error, None
        self._link.send(StepReport(step=step, recording=self._acts.recording, state=state, error=error))

    def _do(self, act: Act) -> None:
        self._attempt(getattr(self._acts, act.name), *act.arguments)

    def _attempt(self, action: Any, *arguments: Any) -> Any:
        """Do it; an error is told with the next report: the first rank waits for no other answer."""
        try:
            return action(*arguments)
        except Exception as error:
            traceback.print_exc()
            self._error = self._error or error
            return None

    def _state(self) -> RankState:
        engine = self._engine
        return RankState(
            is_idle=engine.is_idle(),
            is_fully_idle=engine.is_fully_idle(),
            is_drained=engine.is_drained(),
            is_marked_full=engine.is_marked_full(),
            waiting_rids=tuple(engine.waiting_rids()),
            running_rids=tuple(engine.running_rids()),
            output_limits=engine.output_limits(),
        )


def follow(
    place: Place,
    link: Connection,
    *,
    boot: Boot,
    settings: HostSettings,
    run_dir: Path,
    clock: VirtualClock | RealClock,
) -> int:
    """Boot one rank and run its event loop until the first rank ends it; return the exit code."""
    is_started = False

    def make_hook(engine: Engine) -> FollowerHook:
        return FollowerHook(engine, link, clock, has_own_requests=not place.world.is_alike)

    def on_started(_notes: tuple[str, ...]) -> None:
        nonlocal is_started
        is_started = True
        link.send(Started())

    try:
        text = boot.run(
            settings=settings, run_dir=run_dir, make_hook=make_hook, on_started=on_started, place=place
        )
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 0
    except BaseException:
        text = traceback.format_exc()
        traceback.print_exc()
    link.send(RankFailed(phase="loop" if is_started else "boot", text=text))
    return 1
