"""Lends fake engines in this process, where a test can plant something into them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

from exhausters.errors import ExhaustersError, SchedulerFailedError
from exhausters.fuzz.operations import FuzzScript, Operation, Steps, Submit
from exhausters.sweep.cell import EngineSettings
from exhausters.worker.protocol import ScriptRef
from exhausters.workloads import Request, Segment
from tests.fakes.fake_engine import ScriptRunner

ENGINE = EngineSettings(page_size=1, overlap=False, max_total_tokens=1 << 14, max_running_requests=8)


class InProcess:
    """Stands where a lease and its hosts stand: a fresh fake engine for each message."""

    def __init__(self, **settings: Any) -> None:
        self._settings = {"max_total_tokens": 1 << 14, "page_size": 1, "max_running_requests": 8, **settings}

    def host(self, *_: Any, **__: Any) -> InProcess:
        return self

    def run(self, script: Any, *args: Any, **_: Any) -> Any:
        if isinstance(script, ScriptRef):
            script = module_of(Path(script.file or "")).script
        runner = ScriptRunner(**self._settings)
        try:
            return runner.run(script, *args)
        except ExhaustersError:
            raise
        except Exception as error:
            # As a worker does whose scheduler raises.
            assert runner.hook is not None
            salvage = runner.hook.context.salvage
            raise SchedulerFailedError(
                f"fake: {error}", salvaged=salvage() if salvage is not None else None
            ) from error

    def close(self) -> None:
        pass

    def lease(self) -> InProcess:
        return self

    def interrupt(self) -> None:
        pass

    def __enter__(self) -> InProcess:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def module_of(file: Path) -> Any:
    """A script's file, imported."""
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    sys.modules[file.stem] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def submit(rid: str, length: int, *, max_new_tokens: int = 4, seed: int | None = None) -> Submit:
    number = int(rid.removeprefix("r"))
    segment = Segment(seed=1000 + number if seed is None else seed, length=length)
    request = Request(rid=rid, arrival_seconds=0.0, prompt=(segment,), max_new_tokens=max_new_tokens)
    return Submit(request=request)


def script(*operations: Operation) -> FuzzScript:
    return FuzzScript(operations=operations)


def steps(count: int) -> Steps:
    return Steps(count=count)
