"""Plays cases on booted workers, and finds out which one it was when a worker ends."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from exhausters.errors import ExhaustersError, HostError
from exhausters.fuzz.cases import Case, Shown
from exhausters.fuzz.play import NO_CRASH, WANTS, Played, cause_in, play_all
from exhausters.oracles import Finding
from exhausters.sweep.cell import EngineSettings
from exhausters.sweep.workers import Lease
from exhausters.targets import PreparedTarget

# A script takes some tens of milliseconds, the longest drain some seconds; a busy machine ten times as long.
_SECONDS_PER_SCRIPT, _LEAST_SECONDS = 30.0, 300.0


# How Python ends a traceback.
_RAISED = re.compile(r"[\w.]+(Error|Exception|Exit)\b")


class Player:
    """Plays cases of one target; what ends a worker is a finding of the script that did it.

    Attributes:
        deaths: how often a worker has ended.
    """

    def __init__(self, target: PreparedTarget, lease: Lease) -> None:
        self._target, self._lease = target, lease
        self._confirmed: set[str] = set()
        self.deaths = 0

    def play(self, cases: Sequence[Case]) -> Iterator[Shown]:
        """Yield what each case has shown, in their order; all are of one engine.

        Raises:
            ExhaustersError: the engine does not boot.
        """
        left = list(cases)
        while left:
            host = self._lease.host(self._target, left[0].engine)
            scripts = tuple(one.script for one in left)
            seconds = max(_LEAST_SECONDS, _SECONDS_PER_SCRIPT * len(left))
            try:
                played: tuple[Played, ...] = host.run(
                    play_all, scripts, _chunk_tokens(left[0].engine), timeout_seconds=seconds
                )
            except HostError as error:
                done = _salvaged(error, left)
                yield from _shown(left, done)
                # It had begun the next one.
                yield self._died(left[len(done)], error)
                left = left[len(done) + 1 :]
            else:
                yield from _shown(left, played)
                left = left[len(played) :]
                if played and not played[-1].is_clean:
                    self.replace_worker(cases[0].engine)

    def alone(self, case: Case) -> Shown:
        """Play one case on a worker as it is; raises ExhaustersError when the engine does not boot."""
        (shown,) = self.play([case])
        return shown

    def replace_worker(self, engine: EngineSettings) -> None:
        """End the worker: what a script has left behind must not be in the next one's way."""
        self._lease.host(self._target, engine).close()

    def _died(self, case: Case, error: HostError) -> Shown:
        """Say how the worker ended; of each way the first is confirmed in a worker of its own."""
        self.deaths += 1
        finding = _death(error)
        if finding.cause in self._confirmed:
            return Shown(case=case, findings=(finding,), played=None)
        host = self._lease.host(self._target, case.engine)
        try:
            host.run(play_all, (case.script,), _chunk_tokens(case.engine), timeout_seconds=_LEAST_SECONDS)
        except HostError as again:
            finding = _death(again)
            self._confirmed.add(finding.cause)
        except ExhaustersError:
            pass
        else:
            cause = f"not when played alone: {finding.cause}"
            finding = _death(error, cause=cause)
        return Shown(case=case, findings=(finding,), played=None)


def _death(error: HostError, *, cause: str | None = None) -> Finding:
    said = _said(error)
    return Finding(
        promise=NO_CRASH,
        wants=WANTS[NO_CRASH],
        saw=f"{type(error).__name__}: {said}",
        step=0,
        first_step=0,
        cause=cause or f"{type(error).__name__}: {cause_in(said)}",
    )


def _said(error: HostError) -> str:
    """The message of the newest exception in what was raised, else the last line."""
    lines = str(error.args[0]).strip().splitlines() or [type(error).__name__]
    return next((line for line in reversed(lines) if _RAISED.match(line)), lines[-1])


def _salvaged(error: HostError, cases: Sequence[Case]) -> list[Played]:
    """What was played before the worker ended, at most all but one."""
    notes = error.salvaged if isinstance(error.salvaged, tuple) else ()
    return [one for one in notes if isinstance(one, Played)][: len(cases) - 1]


def _shown(cases: Sequence[Case], played: Sequence[Played]) -> Iterator[Shown]:
    for case, one in zip(cases, played, strict=False):
        yield Shown(case=case, findings=one.findings, played=one)


def _chunk_tokens(engine: EngineSettings) -> int:
    return engine.chunked_prefill_size
