"""What the first rank has of the others: it tells them what to do, and hears what they have done."""

from __future__ import annotations

import pickle
import select
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any

from exhausters.engine.api import Submission, World
from exhausters.engine.clock import real_sleep
from exhausters.errors import ExhaustersError, PressureError, RankFailedError
from exhausters.observe.forward_time import ForwardTimeModel
from exhausters.observe.other_ranks import RankStep
from exhausters.ranks.messages import Act, End, Go, RankFailed, RankState, Started, StepReport
from exhausters.ranks.processes import RankProcess
from exhausters.worker.protocol import ScriptRef
from exhausters.worker.script_ref import script_ref

# What a rank's own error says when another rank has gone: then the other one is to blame.
_LOST_A_RANK = ("gloo", "closed by peer", "reset by peer", "Broken pipe", "RankFailedError")
# A rank that raises takes a moment to say so, and this one may notice first.
_EXPLAIN_SECONDS = 5.0
# How long this rank may take to notice by itself that another has ended.
_NOTICE_SECONDS = 3.0


class _Outbox:
    """Sends to a rank that may be behind, without waiting for it: it may be waiting for this rank."""

    def __init__(self, link: Connection) -> None:
        self._link = link
        self._messages: SimpleQueue[bytes] = SimpleQueue()
        threading.Thread(target=self._run, daemon=True, name="outbox").start()

    def put(self, message: object) -> None:
        """Send it, after what was put before; what cannot be sent is noticed when the rank is heard."""
        self._messages.put(pickle.dumps(message))

    def _run(self) -> None:
        with suppress(OSError):
            while True:
                self._link.send_bytes(self._messages.get())


class Followers:
    """All ranks but the first, in lockstep with it; `exhausters.observe.other_ranks.OtherRanks`.

    Each of them reports when its iteration has ended, then does what it is told, and begins the next one when
    it is told to go. What it is told is done at the same hook call as here.

    Attributes:
        world: all ranks.
        states: of ranks with requests of their own, as of their newest report, by rank.
        unreceived: requests that another rank was told to submit and has not received yet.
        rank_of: which rank has each request that only another rank has.
    """

    def __init__(self, world: World, processes: Sequence[RankProcess]) -> None:
        self.world = world
        self.states: dict[int, RankState] = {}
        self.unreceived = 0
        self.rank_of: dict[str, int] = {}
        self._processes = tuple(processes)
        self._steps: dict[int, list[RankStep]] = {one.place.rank: [] for one in processes}
        # Reports that later stages may still owe.
        self._owed = 0
        self._outbox = {one.place.rank: _Outbox(one.link) for one in processes} if world.lag_steps else {}
        self._is_recording = False
        self._recording = 0
        # What ranks that have failed said last.
        self._said: dict[int, str] = {}
        self._reported = threading.Lock()

    @property
    def is_alike(self) -> bool:
        """Whether each of them must decide as the first does."""
        return self.world.is_alike

    @property
    def size(self) -> int:
        """Ranks in all, this one included."""
        return self.world.size

    @property
    def pids(self) -> tuple[int, ...]:
        """Process ids of the others."""
        return tuple(one.pid for one in self._processes)

    # Told to all, in the order of the calls.

    def tell(self, name: str, *arguments: Any) -> None:
        """Let every other rank do this before its next iteration; `name` is a method of `Acts`.

        Raises:
            RankFailedError: one of them has ended.
        """
        for process in self._processes:
            self._send(process, Act(name, arguments))

    def tell_one(self, rank: int, name: str, *arguments: Any) -> None:
        """The same for one of them; raises RankFailedError."""
        self._send(self._of(rank), Act(name, arguments))

    def submit(self, rank: int, submission: Submission) -> None:
        """Let one rank alone receive a request; raises RankFailedError."""
        self.rank_of[submission.rid] = rank
        self.unreceived += 1
        self.tell_one(rank, "submit", submission)

    def call(self, rank: int, function: Callable[..., Any] | ScriptRef, *arguments: Any) -> None:
        """Call a function of a script's file, with the engine of one rank, before its next iteration.

        Raises:
            RankFailedError: that rank has ended.
        """
        reference = function if isinstance(function, ScriptRef) else script_ref(function)
        self.tell_one(rank, "call", reference, arguments)

    def go(self, elapsed_ns: int) -> None:
        """Let every other rank begin its next iteration, at this modelled time."""
        for process in self._processes:
            self._send(process, Go(elapsed_ns))

    def end(self) -> None:
        """End them; harmless when they have ended."""
        for process in self._processes:
            with suppress(RankFailedError):
                self._send(process, End())

    def await_started(self) -> None:
        """Wait until every scheduler is up.

        Raises:
            RankFailedError: one did not come up.
        """
        for process in self._processes:
            message = self._receive(process)
            if not isinstance(message, Started):
                raise RankFailedError(f"{process.place}: {type(message).__name__} before its start")

    def gather(self) -> None:
        """Wait until the iteration of every other rank has ended, and take their reports.

        Of a pipeline it is the iteration before: a later stage ends one only when the first begins the next.

        Raises:
            RankFailedError: one has ended.
            PressureError: one could not do what it was told; names the rank.
        """
        self.unreceived = 0
        if self._owed < self.world.lag_steps:
            self._owed += 1
            return
        errors: list[tuple[RankProcess, Exception]] = []
        for process in self._processes:
            report = self._receive(process)
            assert isinstance(report, StepReport), f"{process.place} sent {type(report).__name__}"
            if report.step is not None and report.recording == self._recording:
                self._steps[process.place.rank].append(report.step)
            if report.state is not None:
                self.states[process.place.rank] = report.state
            if report.error is not None:
                errors.append((process, report.error))
        for process, error in errors:
            kind = type(error) if isinstance(error, PressureError) else ExhaustersError
            raise kind(f"{process.place}: {error}") from error

    # `OtherRanks`.

    def start_recording(self, forward_time: ForwardTimeModel) -> None:
        """Let each record its steps, from the next one on."""
        for steps in self._steps.values():
            steps.clear()
        self._is_recording = True
        self._recording += 1
        self.tell("start_recording", self._recording, forward_time)

    def stop_recording(self) -> None:
        """End that; harmless when repeated, and when a rank has ended."""
        if self._is_recording:
            self._is_recording = False
            with suppress(RankFailedError):
                self.tell("stop_recording")

    def steps(self) -> Mapping[int, Sequence[RankStep]]:
        """Return by rank what came of steps that have ended, once."""
        taken = {rank: tuple(steps) for rank, steps in self._steps.items()}
        for steps in self._steps.values():
            steps.clear()
        return taken

    # How they end.

    def explain(self, own_text: str) -> RankFailedError | None:
        """Say which rank is to blame for the failure of this one; None when it failed by itself.

        Args:
            own_text: the traceback of this rank's failure.
        """
        if own_text and not any(words in own_text for words in _LOST_A_RANK):
            return None
        told = [(process, self._last_words(process)) for process in self._processes]
        known = [(process, text) for process, text in told if text]
        # One that has lost a rank itself is a victim, as this one is.
        guilty = [one for one in known if not any(words in one[1] for words in _LOST_A_RANK)] or known
        if not guilty:
            return None
        process, text = guilty[0]
        last_line = text.strip().rsplit("\n", 1)[-1]
        return RankFailedError(f"{process.place} failed: {last_line}\n{text.strip()}")

    def watch(self, on_lost: Callable[[RankFailedError], None]) -> None:
        """Call `on_lost`, in a thread, when a rank has ended and this one has not noticed within seconds.

        It may wait for ever for the one that is gone: at the rendezvous, for one.
        """
        threading.Thread(target=self._watch, args=(on_lost,), daemon=True, name="ranks").start()

    def claim_report(self) -> bool:
        """Whether the caller is the first that is about to report a failure."""
        return self._reported.acquire(blocking=False)

    def _watch(self, on_lost: Callable[[RankFailedError], None]) -> None:
        select.select([one.handle for one in self._processes], [], [])
        real_sleep(_NOTICE_SECONDS)
        if self.claim_report():
            on_lost(self.explain("") or RankFailedError("a rank ended; this one did not notice"))

    def _last_words(self, process: RankProcess) -> str:
        """What a rank said of its failure, or how it ended; empty when it runs on."""
        if process.place.rank in self._said:
            return self._said[process.place.rank]
        with suppress(EOFError, OSError, pickle.UnpicklingError):
            while process.link.poll(_EXPLAIN_SECONDS):
                message = process.link.recv()
                if isinstance(message, RankFailed):
                    return message.text or f"{message.phase} failed"
        ended = process.ended(within_seconds=_EXPLAIN_SECONDS)
        return "" if ended is None else f"its process ended: {ended}"

    def _of(self, rank: int) -> RankProcess:
        return next(one for one in self._processes if one.place.rank == rank)

    def _send(self, process: RankProcess, message: object) -> None:
        outbox = self._outbox.get(process.place.rank)
        try:
            if outbox is None:
                process.link.send(message)
            else:
                outbox.put(message)
        except OSError as error:
            raise RankFailedError(f"{process.place} has ended") from error

    def _receive(self, process: RankProcess) -> object:
        try:
            message = process.link.recv()
        except (EOFError, OSError) as error:
            raise RankFailedError(f"{process.place} has ended") from error
        if isinstance(message, RankFailed):
            self._said[process.place.rank] = message.text
            raise RankFailedError(f"{process.place} failed: {message.text}")
        return message
