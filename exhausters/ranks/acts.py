"""What the first rank asks of another before an iteration; done there at the same hook call."""

from __future__ import annotations

from typing import Any

from exhausters.engine.api import Engine, Submission
from exhausters.observe.forward_time import ForwardTimeModel
from exhausters.observe.other_ranks import RankStep
from exhausters.observe.recorder import Recorder
from exhausters.pressure import PressureLevels, PressureSet
from exhausters.worker.find_script import find_script
from exhausters.worker.protocol import ScriptRef


class StillClock:
    """A clock that only the first rank moves: records of other ranks take their times from there."""

    elapsed_ns = 0

    def advance_ns(self, duration_ns: int) -> None:
        """The first rank does that."""


class Acts:
    """Everything that one rank does beside its own scheduler's work.

    Attributes:
        pressure: its exhausters.
        recorder: what records its steps; None while nothing does.
        recording: number of what is being recorded.
    """

    def __init__(self, engine: Engine, *, has_own_requests: bool) -> None:
        self._engine = engine
        self._has_own_requests = has_own_requests
        self.pressure = PressureSet(engine)
        self.recorder: Recorder | None = None
        self.recording = 0

    def submit(self, submission: Submission) -> None:
        """Let the scheduler of this rank receive a request."""
        self._engine.submit(submission)

    def note_submission(self, submission: Submission) -> None:
        """Know a request that the scheduler gets from the first rank."""
        self._engine.note_submission(submission)

    def begin_script(self) -> None:
        """Forget what earlier scripts submitted."""
        self._engine.begin_script()

    def restore_carryover(self) -> None:
        """Put counters back."""
        self._engine.restore_carryover()

    def clear_full_mark(self) -> None:
        """Take the mark off the running batch."""
        self._engine.clear_full_mark()

    def set_idle_checks(self, enabled: bool) -> None:
        """Turn the scheduler's own checks of an idle engine on or off."""
        self._engine.set_idle_checks(enabled)

    def apply(self, levels: PressureLevels) -> None:
        """Take every level given."""
        self.pressure.apply(levels)

    def take_once(self, level_name: str, level: int) -> None:
        """Take down to one level."""
        self.pressure.take_once(level_name, level)

    def release(self) -> None:
        """Give everything back."""
        self.pressure.release()

    def start_recording(self, number: int, forward_time: ForwardTimeModel) -> None:
        """Make a record of each step from now on."""
        self.stop_recording()
        self.recording = number
        clock: Any = StillClock()
        self.recorder = Recorder(
            engine=self._engine,
            clock=clock,
            pressure=self.pressure,
            forward_time=forward_time,
            raises=False,
        )
        self.recorder.start()

    def stop_recording(self) -> None:
        """End that; harmless when repeated."""
        if self.recorder is not None:
            self.recorder.stop()
        self.recorder = None

    def call(self, function: ScriptRef, arguments: tuple[Any, ...]) -> None:
        """Call a function of a script's file with the engine of this rank."""
        find_script(function)(self._engine, *arguments)

    def end_step(self) -> RankStep | None:
        """Close the record of the step that has ended."""
        recorder = self.recorder
        if recorder is None:
            return None
        recorder.on_step()
        record = recorder.newest
        assert record is not None, "a step was closed without a record"
        touched = {*record.rids, *record.retracted_rids} if self._has_own_requests else ()
        outputs = {rid: recorder.outputs[rid] for rid in touched}
        return RankStep(record=record, outputs=outputs, unbalanced=recorder.unbalanced)
