"""Two fake builds in this process that stand where `Sides` stand, head with lines planted into it."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from exhausters.why.profile import profile_cell
from exhausters.worker.protocol import ScriptRef
from tests.fakes.fake_engine import ScriptRunner
from tests.fuzz.in_process import module_of
from tests.why.sides import changed


class PlantedSides:
    """Runs every script on a fresh fake engine, and again with the lines planted.

    Attributes:
        is_fleeting: head differs only while it is profiled, and never again.
        is_mended: head runs a script of its own, such as a reproducer, as base does.
    """

    is_fleeting = False
    is_mended = False

    def __init__(self, name: str, lines: str) -> None:
        self._name, self._lines = name, lines

    def __call__(self, _: Any, base: Any, head: Any) -> PlantedSides:
        self.base, self.head = base, head
        return self

    def __enter__(self) -> PlantedSides:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def run(self, _: Any, script: Any, *args: Any) -> tuple[Any, Any]:
        plain = self.is_fleeting and script is not profile_cell
        # The test runner has callbacks of the garbage collector in this process; a worker has none.
        gc.disable()
        # Counting lines ends what else traces this thread.
        trace = sys.gettrace()
        try:
            base = ScriptRunner().run(script, *args)
            with nullcontext() if plain else self._planted():
                return base, ScriptRunner().run(script, *args)
        finally:
            gc.enable()
            sys.settrace(trace)

    def start(self, _: Any, ref: ScriptRef) -> tuple[Callable[[], object], Callable[[], object]]:
        script = module_of(Path(ref.file or "")).script

        def ours() -> object:
            return ScriptRunner().run(script)

        def theirs() -> object:
            with nullcontext() if self.is_mended else self._planted():
                return ScriptRunner().run(script)

        return ours, theirs

    def _planted(self) -> AbstractContextManager[None]:
        return changed(self._name, self._lines)
