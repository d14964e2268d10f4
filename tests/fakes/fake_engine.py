"""Runs scripts on the fake engine through the real hook and context, in this process; and a fake `Host`."""

from __future__ import annotations

import pickle
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from exhausters.engine.api import ImportedSources
from exhausters.engine.clock import VirtualClock
from exhausters.engine.fake.boot import KEYWORDS, require_switches
from exhausters.engine.fake.engine import FakeEngine
from exhausters.engine.fake.scheduler import FakeScheduler
from exhausters.engine.settings import HostSettings
from exhausters.errors import HostError, ScriptFailedError
from exhausters.scripted.hook import ScriptedSchedulerHook
from exhausters.sweep.drain import run_cell
from exhausters.sweep.execute import imported_sources
from exhausters.sweep.run_options import COUNTED, DECIDE, TIMED, RunOptions
from exhausters.worker.protocol import RunScript, ScriptFailed, ScriptRef, ScriptSucceeded, WorkerReady
from exhausters.worker.script_ref import script_ref
from exhausters.workloads import DEFAULT_TEXT, EmittedText

# A script that never ends would run for ever here, where nobody kills the worker.
MAX_ITERATIONS = 200_000


class FakeConnection:
    """The worker's end of the pipe: messages to be received, then the end; replies are kept, pickled."""

    def __init__(self, messages: Sequence[Any]) -> None:
        self._messages = deque(messages)
        self.replies: list[Any] = []

    def recv(self) -> Any:
        if not self._messages:
            raise EOFError
        return self._messages.popleft()

    def send(self, message: Any) -> None:
        self.replies.append(pickle.loads(pickle.dumps(message)))


class ScriptRunner:
    """One fake scheduler that scripts are run on, one after another.

    Attributes:
        scheduler: the scheduler itself.
        engine: the same as the harness sees it.
    """

    def __init__(self, *, text: EmittedText = DEFAULT_TEXT, **settings: Any) -> None:
        self.scheduler = FakeScheduler(text=text, **settings)
        self._text = text
        self.engine = FakeEngine(self.scheduler)
        self.hook: ScriptedSchedulerHook | None = None

    def serve(self, messages: Sequence[Any]) -> list[ScriptSucceeded | ScriptFailed]:
        """Let the hook answer all messages, until it ends the loop as it does when the host goes away."""
        connection: Any = FakeConnection(messages)
        self.hook = self.scheduler.hook = ScriptedSchedulerHook(
            engine=self.engine, connection=connection, clock=VirtualClock(), text=self._text
        )
        try:
            for _ in range(MAX_ITERATIONS):
                self.scheduler.iterate()
        except SystemExit:
            return list(connection.replies)
        raise AssertionError(f"the scripts did not end within {MAX_ITERATIONS} iterations")

    def run(
        self, script: Callable[..., Any] | ScriptRef, *args: Any, reset: bool = True, **_host_only: Any
    ) -> Any:
        """As `Host.run`: what the script returned, or its error."""
        ref = script if isinstance(script, ScriptRef) else script_ref(script)
        (reply,) = self.serve([RunScript(script=ref, args=args, reset=reset)])
        if isinstance(reply, ScriptSucceeded):
            return reply.value
        raise reply.error or ScriptFailedError(reply.traceback)


class FakeHost:
    """Stands where `exhausters.worker.host.Host` stands, over a `ScriptRunner`.

    Attributes:
        made: all fake hosts since the list was last cleared, oldest first.
        known_switches: switches that do not make a boot fail.
    """

    made: list[FakeHost] = []  # noqa: RUF012  one list for the class is the point

    known_switches: tuple[str, ...] = KEYWORDS

    @staticmethod
    def on_boot(settings: HostSettings) -> None:
        """Called before a boot; a test may put something that raises here."""

    @staticmethod
    def on_run(args: tuple[Any, ...]) -> None:
        """Called before a script, with its arguments; likewise."""

    @staticmethod
    def sources_of(target: Any) -> ImportedSources:
        """What a worker of this target reports to have imported; nothing by default."""
        return ImportedSources(files={})

    @staticmethod
    def template(target: Any, settings: HostSettings, bases: Any) -> None:
        """Boots here are no forks."""

    def __init__(
        self,
        target: Any,
        settings: HostSettings,
        *,
        template: None = None,
        on_started: Callable[[Any], None] | None = None,
    ) -> None:
        FakeHost.made.append(self)
        self.target = target
        self.settings = settings
        self.closed = False
        self.interrupted = False
        self.is_dead = False
        self.run_count = 0
        self.cores: list[int | None] = []
        if on_started is not None:
            on_started(self)
        self.on_boot(settings)
        require_switches(settings.switches, known=self.known_switches)
        known = {name: settings.engine[name] for name in KEYWORDS}
        self._engine = ScriptRunner(text=settings.text, **known)

    def pin(self, core: int | None) -> None:
        self.cores.append(core)

    @property
    def facts(self) -> dict[str, Any]:
        return {**self.ready.facts.to_json(), "clock": self.settings.clock}

    @property
    def ready(self) -> WorkerReady:
        return WorkerReady(facts=self._engine.engine.facts(), notes=())

    def run(
        self,
        script: Callable[..., Any] | ScriptRef,
        *args: Any,
        timeout_seconds: float = 0.0,
        reset: bool = True,
    ) -> Any:
        assert self.is_usable, "a host that is closed or gone was used"
        if script is imported_sources:  # no run of a cell
            return self.sources_of(self.target)
        self.run_count += 1
        try:
            self.on_run(args)
        except HostError:
            self.is_dead = True
            raise
        if script is run_cell:
            # Counting operators needs torch.
            cell, workload, *options = args
            given = options[0] if options else RunOptions()
            asked = tuple(DECIDE if name == COUNTED else name for name in given.passes or (TIMED,))
            args = (cell, workload, replace(given, passes=asked))
        return self._engine.run(script, *args)

    @property
    def is_usable(self) -> bool:
        return not self.closed and not self.is_dead

    def interrupt(self) -> None:
        self.interrupted = True

    def close(self) -> None:
        self.closed = True
