"""The engines of a test session: booted when a test asks for one, ended with what they were kept for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from exhausters.engine.settings import HostSettings
from exhausters.errors import ExhaustersError, HostError, ScriptFailedError, UsageError
from exhausters.observe.step_record import StepRecord
from exhausters.pytest_plugin.steps_text import steps_text
from exhausters.targets import PreparedTarget
from exhausters.worker.host import SCRIPT_TIMEOUT_SECONDS, Host
from exhausters.worker.protocol import ScriptRef
from exhausters.worker.script_ref import script_ref
from exhausters.worker.templates import Templates

_MARKER = "scripted_engine"
_PLAYER = "exhausters.pytest_plugin.player"
_PLAY = ScriptRef(module=_PLAYER, qualname="play")
_KEPT = ScriptRef(module=_PLAYER, qualname="kept_steps")
# Keywords of the marker that are settings of the host; the others are the engine's.
_OF_THE_HOST = ("model", "clock", "tree_core", "emitted_token", "speculative_accept")
_SCOPES = ("function", "class", "module", "session")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which engine a test asks for.

    Attributes:
        settings: how it is booted.
        owner: what it is kept for: a test, a class, a module or the session.
    """

    settings: HostSettings
    owner: pytest.Item | pytest.Collector


def asked_for(item: pytest.Item) -> Asked:
    """Read a test's markers; one that is nearer to it wins, keyword by keyword.

    Raises:
        UsageError: a marker with positional arguments, or an unknown scope.
    """
    keywords: dict[str, Any] = {}
    for mark in reversed(list(item.iter_markers(_MARKER))):
        if mark.args:
            raise UsageError(f"{_MARKER}{mark.args!r}: expected keywords only, such as page_size=16")
        keywords.update(mark.kwargs)
    scope = keywords.pop("scope", "module")
    host = {name: keywords.pop(name) for name in _OF_THE_HOST if name in keywords}
    return Asked(settings=HostSettings(engine=keywords, **host), owner=_owner(item, scope))


def _owner(item: pytest.Item, scope: object) -> pytest.Item | pytest.Collector:
    if scope not in _SCOPES:
        raise UsageError(f"scope={scope!r}: expected one of {', '.join(_SCOPES)}")
    if scope == "session":
        return item.session
    if scope == "function":
        return item
    module = item.getparent(pytest.Module) or item.session
    return (item.getparent(pytest.Class) or module) if scope == "class" else module


class ScriptedEngine:
    """A booted engine that runs scripts.

    Attributes:
        host: the worker behind it; `host.facts` tells what was booted.
    """

    def __init__(self, host: Host) -> None:
        self.host = host
        self._steps: Sequence[StepRecord] = ()

    def run(
        self, script: Callable[..., Any], *args: Any, timeout_seconds: float = SCRIPT_TIMEOUT_SECONDS
    ) -> Any:
        """Reset the engine, run a script with these arguments to its end, and return what it returned.

        The script is a function at the top of a module; the worker imports that module too.

        Raises:
            ScriptFailedError: it raised; an AssertionError whose message is the worker's traceback.
            ExhaustersError: it raised one of this project's own errors, or the worker has ended.
        """
        __tracebackhide__ = True
        self._steps = ()
        try:
            return self.host.run(
                _PLAY, script_ref(script), args, timeout_seconds=timeout_seconds, as_sglang=True
            )
        except HostError as error:
            if isinstance(error.salvaged, tuple):
                self._steps = error.salvaged
            raise
        except ScriptFailedError as error:
            self._keep()
            failed = ScriptFailedError(_of_the_script(str(error)))
        except ExhaustersError:
            self._keep()
            raise
        raise failed

    def told_steps(self) -> str:
        """The last steps of the last script that failed, one per line; empty where there is none."""
        return steps_text(self._steps)

    def _keep(self) -> None:
        try:
            self._steps = self.host.run(_KEPT, reset=False)
        except ExhaustersError:
            # The failure itself is what must be told.
            self._steps = ()


def _of_the_script(text: str) -> str:
    """The worker's traceback from the script on, without the frames of this project that called it."""
    lines = text.splitlines()
    own = [index for index, line in enumerate(lines) if "pytest_plugin/player.py" in line]
    frames = [index for index, line in enumerate(lines) if line.startswith("  File ")]
    first = next((index for index in frames if own and index > own[-1]), None)
    if first is None:
        return text
    return "\n".join(["Traceback in the worker (most recent call last):", *lines[first:]])


class Engines:
    """Owns the engines of a session; a context manager that ends all."""

    def __init__(self) -> None:
        self._booted: list[tuple[PreparedTarget, Asked, ScriptedEngine]] = []
        self._templates = Templates(Host.template)

    def get(self, target: PreparedTarget, asked: Asked) -> ScriptedEngine:
        """Return a usable engine: the one that the same owner has with equal settings, or a new one.

        Raises what `Host` raises.
        """
        for known_target, known, engine in self._booted:
            if known_target == target and known == asked and engine.host.is_usable:
                return engine
        with self._templates.borrow(target, asked.settings) as template:
            engine = ScriptedEngine(Host(target, asked.settings, template=template))
        kept = (target, asked, engine)
        self._booted.append(kept)
        asked.owner.addfinalizer(lambda: self._end(kept))
        return engine

    def _end(self, kept: tuple[PreparedTarget, Asked, ScriptedEngine]) -> None:
        kept[2].host.close()
        self._booted.remove(kept)

    def __enter__(self) -> Engines:
        return self

    def __exit__(self, *raised: object) -> None:
        for _, _, engine in self._booted:
            engine.host.close()
        self._templates.close()
