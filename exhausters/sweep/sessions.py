"""Closes the sessions of a workload when their last turn has ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from exhausters.scripted.context import ScriptedContext
from exhausters.workloads import Request


class SessionsOfRun:
    """Knows the last turn of each session; free for a workload without any."""

    def __init__(self, context: ScriptedContext, requests: Sequence[Request]) -> None:
        self._engine = context.engine
        # Turns of a session are in order: the last one stays.
        self._last_turns = {one.session.name: one.rid for one in requests if one.session is not None}

    def close_ended(self, has_ended: Callable[[str], bool]) -> None:
        """Close those whose last turn has emitted all of its tokens, and is in no batch any more.

        With overlap it still runs for a step: then the engine would put the closing off.
        """
        if not self._last_turns:
            return
        for name in self._engine.open_sessions():
            last = self._last_turns.get(name)
            if last is not None and has_ended(last) and self._engine.find_request(last) is None:
                self._engine.close_session(name)

    def close_all(self) -> bool:
        """Close those that are left, of which a turn was aborted; whether none was open."""
        names = self._engine.open_sessions() if self._last_turns else ()
        for name in names:
            self._engine.close_session(name)
        return not names
