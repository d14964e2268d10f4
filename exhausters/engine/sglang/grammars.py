"""Requests with a grammar: whether this engine takes them, and who waits for a grammar."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from exhausters.errors import UnsupportedSettingError


class Grammars:
    """Installs null grammars when the first request with one comes, takes them away for the next script."""

    def __init__(self, scheduler: Any) -> None:
        self._scheduler = scheduler
        self._take_away: Callable[[], None] | None = None

    def text_for(self, steps: int, rid: str) -> str:
        """Return the text of a grammar that is compiled `steps` steps after its request has come.

        Raises:
            UnsupportedSettingError: this SGLang has no queue of requests that wait for grammars, or a grammar
                backend of its own is at work.
        """
        manager: Any = getattr(self._scheduler, "grammar_manager", None)
        if not hasattr(manager, "grammar_queue"):
            raise UnsupportedSettingError(
                f"request {rid!r} has a grammar: this SGLang has no grammar_manager with a queue"
            )
        from exhausters.engine.sglang import null_grammar

        if self._take_away is None:
            if manager.grammar_backend is not None:
                raise UnsupportedSettingError(
                    f"request {rid!r} has a grammar: this engine has a backend of its own, "
                    f"{type(manager.grammar_backend).__name__}"
                )
            self._take_away = null_grammar.install(manager)
        return null_grammar.grammar_text(steps, rid)

    def forget(self) -> None:
        """Take the null grammars away, with all that were compiled; for an idle engine."""
        if self._take_away is not None:
            self._take_away()
            self._take_away = None


def waiting_for_grammar(scheduler: Any) -> Sequence[Any]:
    """Requests that wait for their grammar before they may wait in the queue."""
    found: Sequence[Any] = getattr(getattr(scheduler, "grammar_manager", None), "grammar_queue", ())
    return found
