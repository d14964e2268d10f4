"""The hook that the engine calls: serves scripts, one step per iteration of the event loop."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Generator
from dataclasses import replace
from inspect import isgenerator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from exhausters.engine.api import Engine
from exhausters.engine.clock import RealClock, VirtualClock
from exhausters.errors import ExhaustersError, RankFailedError, ScriptFailedError, UsageError
from exhausters.ranks.leader import Followers
from exhausters.scripted.context import ScriptedContext
from exhausters.scripted.reset import reset_engine
from exhausters.worker.find_script import find_script
from exhausters.worker.protocol import RunScript, ScriptFailed, ScriptSucceeded, Shutdown
from exhausters.workloads import EmittedText


class ScriptedSchedulerHook:
    """The engine calls `step()` at the top of each iteration and `on_run_batch` before each forward."""

    def __init__(
        self,
        *,
        engine: Engine,
        connection: Connection,
        clock: VirtualClock | RealClock,
        text: EmittedText,
        spool_path: Path | None = None,
        ranks: Followers | None = None,
    ) -> None:
        self._engine = engine
        self._connection = connection
        self._ranks = ranks
        self.context = ScriptedContext(
            engine=engine, clock=clock, text=text, spool_path=spool_path, ranks=ranks
        )
        self.observers = self.context.observers
        self._serving = self._serve()

    def step(self) -> None:
        """Let the script act, then the engine take one iteration.

        Raises:
            SystemExit: the host asked for the end, or is gone.
            RankFailedError: another rank of the engine is gone.
        """
        phases = self.context.phases
        if phases is not None:
            phases.end_step()
        failure = self._close_step()
        try:
            if failure is None:
                next(self._serving)
            else:
                # The script's failure, not the engine's: raised where the script has yielded.
                self._serving.throw(failure)
        except StopIteration:
            if self._ranks is not None:
                self._ranks.end()
            raise SystemExit(0) from None
        if self._ranks is not None:
            self._go(self._ranks)

    def _go(self, ranks: Followers) -> None:
        """Let the other ranks take the same iteration; the script has opened its first phase already."""
        phases = self.context.phases
        if phases is not None:
            phases.pause()
        ranks.go(self.context.clock.elapsed_ns)
        if phases is not None:
            phases.unpause()

    def _close_step(self) -> ExhaustersError | None:
        """Let the observers and the held exhausters act; return what they raised."""
        finished = self.context.finished_requests
        try:
            if self._ranks is not None:
                self._ranks.gather()
            if finished is not None:
                finished.on_step()
            for observer in self.observers:
                observer.on_step()
            self.context.pressure.reapply()
        except RankFailedError:
            raise  # the engine's failure, not the script's
        except ExhaustersError as error:
            return error
        return None

    def on_run_batch(self, native: Any) -> None:
        """Note the batch, in the engine's own form, that is about to run."""
        phases = self.context.phases
        if phases is not None:
            phases.pause()
        batch = self._engine.view_batch(native)
        self.context.batch_log.record(batch)
        for observer in self.observers:
            observer.on_run_batch(batch)
        finished = self.context.finished_requests
        if finished is not None:
            finished.on_run_batch(batch, self._engine.batch_requests(native))
        if phases is not None:
            phases.unpause()

    def _serve(self) -> Generator[None, None, None]:
        """Answer the host's messages; between two of them the engine waits in `step`."""
        while True:
            try:
                message = self._connection.recv()
            except EOFError:
                return
            if isinstance(message, Shutdown):
                return
            reply = yield from self._answer(message)
            self._reply(replace(reply, full_marks_cleared=self.context.full_marks_cleared))

    def _reply(self, reply: ScriptSucceeded | ScriptFailed) -> None:
        try:
            self._connection.send(reply)
        except OSError:
            raise
        except Exception as error:
            # What a script returns must travel to another process: say so instead of ending here.
            text = f"the script's return value cannot be pickled: {error}"
            self._connection.send(ScriptFailed(traceback=text, error=UsageError(text)))

    def _answer(self, message: RunScript) -> Generator[None, None, ScriptSucceeded | ScriptFailed]:
        try:
            script = find_script(message.script)
            if message.reset:
                yield from reset_engine(self.context)
            self.context.begin_script(as_sglang=message.as_sglang)
            value = yield from self._run(script, message.args)
        except Exception as error:
            return _failed(error)
        return ScriptSucceeded(value=value)

    def _run(self, script: Callable[..., Any], args: tuple[Any, ...]) -> Generator[None, None, Any]:
        try:
            result = script(self.context, *args)
            if isgenerator(result):
                result = yield from result
            return result
        finally:
            self.observers.clear()
            self.context.phases = None
            self.context.salvage = None
            self.context.release_pressure()


def _failed(error: Exception) -> ScriptFailed:
    # Assertion errors of a script and SGLang's own errors travel as text: the host's environment may
    # not have what they are made of.
    own = isinstance(error, ExhaustersError) and type(error) is not ScriptFailedError
    return ScriptFailed(traceback=traceback.format_exc(), error=error if own else None)
