"""The worker's side of the pytest plugin: plays a script and keeps its last steps."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Generator
from inspect import isgenerator
from types import ModuleType
from typing import Any

from exhausters.observe.forward_time import LinearForwardTime
from exhausters.observe.recorder import Recorder
from exhausters.observe.step_record import StepRecord
from exhausters.pytest_plugin.steps_text import KEPT_STEPS
from exhausters.scripted.context import ScriptedContext
from exhausters.worker.find_script import find_script
from exhausters.worker.protocol import ScriptRef

_KEPT: list[StepRecord] = []


def play(t: ScriptedContext, ref: ScriptRef, args: tuple[Any, ...]) -> Generator[None, None, Any]:
    """Run a script, recorded; return what it returns."""
    _KEPT.clear()
    _stand_in_for_pytest()
    script = find_script(ref)
    recorder = Recorder(
        engine=t.engine,
        clock=t.clock,
        pressure=t.pressure,
        forward_time=LinearForwardTime(),
        spool_path=t.spool_path,
        # Scripts that count pages do so themselves; some take them on purpose.
        raises=False,
        ranks=t.ranks,
    )
    t.salvage = lambda: recorder.log.steps
    recorder.start()
    t.observers.append(recorder)
    try:
        result = script(t, *args)
        if isgenerator(result):
            result = yield from result
        return result
    finally:
        recorder.stop()
        _KEPT[:] = recorder.log.steps[-KEPT_STEPS:]


def kept_steps(t: ScriptedContext) -> tuple[StepRecord, ...]:
    """Return the last steps of the script before this one."""
    return tuple(_KEPT)


class _Named:
    """Stands for a marker, a fixture or a type of pytest's at the top of a file; decorates with no effect."""

    def __getattr__(self, name: str) -> _Named:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        """Return what it decorates; else itself, to decorate with."""
        return args[0] if len(args) == 1 and not keywords and callable(args[0]) else self


class _NoPytest(ModuleType):
    """Stands for pytest where a script's file imports it and the worker's environment has none."""

    def __getattr__(self, name: str) -> _Named:
        if name in ("mark", "fixture", "param") or name[:1].isupper():
            return _Named()
        raise AttributeError(
            f"pytest.{name}: the worker's environment has no pytest; a script has `assert`, and what its "
            "test function checks around it"
        )


def _stand_in_for_pytest() -> None:
    if "pytest" not in sys.modules and importlib.util.find_spec("pytest") is None:
        sys.modules["pytest"] = _NoPytest("pytest")
