"""What test classes boot instead of SGLang's HTTP server: a worker, forked from a template."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from exhausters.conformance.outcome import one_line
from exhausters.conformance.player import ScriptPlace
from exhausters.engine.load import SGLANG, reserved
from exhausters.engine.settings import HostSettings
from exhausters.errors import (
    ExhaustersError,
    HostError,
    NotApplicableError,
    NotHereError,
    UsageError,
    WorkerHungError,
)
from exhausters.scripted.test_case import ScriptedTestCase
from exhausters.targets import PreparedTarget
from exhausters.worker.host import SCRIPT_TIMEOUT_SECONDS, Host
from exhausters.worker.protocol import ScriptRef
from exhausters.worker.templates import Templates

_PLAYER = ScriptRef(module="exhausters.conformance.player", qualname="play")


class Bench:
    """Boots engines of one target; a context manager."""

    def __init__(self, target: PreparedTarget, *, source_dir: Path) -> None:
        """`source_dir` is the folder of the checkout that contains `sglang/`."""
        self.target, self.source_dir = target, source_dir
        self._templates = Templates(lambda prepared, settings: Host.template(prepared, settings))
        self._refused: list[tuple[Mapping[str, Any], str]] = []

    def boot(self, engine: Mapping[str, Any]) -> Host:
        """Boot an engine with a test class's keywords.

        Raises:
            NotApplicableError: a keyword asks for what is not here, or the engine boots without it only.
            NotHereError: a keyword's value is known to a process with SGLang only.
            ExhaustersError: it does not boot, whichever keyword is left out.
        """
        for known, reason in self._refused:
            if known == engine:
                raise NotApplicableError(reason)
        asked = reserved().device_asked_for(engine)
        if asked is not None:
            raise NotApplicableError(asked)
        try:
            return self._boot(engine)
        except NotHereError:
            raise
        except UsageError as error:
            # The harness itself refuses an argument.
            raise NotApplicableError(str(error)) from error
        except ExhaustersError as error:
            names = self._culprits(engine)
            if not names:
                raise
            shown = ", ".join(f"{name}={engine[name]!r}" for name in names)
            reason = f"{shown}: does not boot here: {one_line(error)}"
            self._refused.append((dict(engine), reason))
            raise NotApplicableError(reason) from error

    def _boot(self, engine: Mapping[str, Any]) -> Host:
        model = reserved().null_model_for(engine.get("model_path"))
        settings = HostSettings(engine=dict(engine), model=model)
        with self._templates.borrow(self.target, settings) as template:
            return Host(self.target, settings, template=template)

    def _boots(self, engine: Mapping[str, Any]) -> bool:
        try:
            self._boot(engine).close()
        except ExhaustersError:
            return False
        return True

    def _culprits(self, engine: Mapping[str, Any]) -> list[str]:
        """Keywords without which it boots, none too many; empty when it boots without any of them neither."""
        names = list(engine)
        # The last ones are a class's own; the first ones every class has.
        for name in reversed(names):
            if self._boots({key: value for key, value in engine.items() if key != name}):
                return [name]
        for kept in range(len(names) - 2, -1, -1):
            if self._boots({key: engine[key] for key in names[:kept]}):
                left, culprits = names[:kept], []
                for name in names[kept:]:
                    if self._boots({key: engine[key] for key in [*left, name]}):
                        left.append(name)
                    else:
                        culprits.append(name)
                return culprits
        return []

    def close(self) -> None:
        """End the templates."""
        self._templates.close()

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class ScriptServer:
    """Stands where SGLang's `ScriptedHttpServer` stands, with the names that its tests look at."""

    bench: ClassVar[Bench]

    def __init__(self, engine: Mapping[str, Any]) -> None:
        self._engine = dict(engine)
        self._host = self.bench.boot(self._engine)
        self._dirty: str | None = None
        self._shutdown_done = False

    @classmethod
    def start(cls, **engine_kwargs: Any) -> ScriptServer:
        """Boot; raises what `Bench.boot` raises."""
        return cls(engine_kwargs)

    def execute_script(
        self,
        script_fn: Callable[..., Any],
        *,
        args: tuple[Any, ...] = (),
        timeout_s: float = SCRIPT_TIMEOUT_SECONDS,
    ) -> None:
        """Reset the engine and run a script to its end.

        After a script that has ended the worker the next one gets a new one: every test is judged alone.

        Raises:
            AssertionError: the script raised; the message is its traceback.
            TimeoutError: it did not end in time.
            RuntimeError: the scheduler has failed, or the server was marked dirty before.
        """
        if self._dirty:
            raise RuntimeError(f"the server is dirty: {self._dirty}")
        if not self._host.is_usable:
            self._host.close()
            self._host = self.bench.boot(self._engine)
        place = _place(script_fn, self.bench)
        try:
            self._host.run(_PLAYER, place, args, timeout_seconds=timeout_s, as_sglang=True)
        except WorkerHungError as error:
            raise TimeoutError(str(error)) from error
        except HostError as error:
            raise RuntimeError(str(error)) from error
        except AssertionError:
            raise
        except ExhaustersError as error:
            # One of the context's own: to the test it is a script that raised.
            raise AssertionError(f"the script failed:\n{error.__cause__ or error}") from error

    def shutdown(self) -> None:
        """End the worker; harmless when repeated."""
        self._host.close()
        self._shutdown_done = True


class BootedTestCase(ScriptedTestCase):
    """Stands where SGLang's `ScriptedTestCase` stands; its engine is one of a bench."""

    server_class: ClassVar[type[ScriptServer]]


def _place(script_fn: Any, bench: Bench) -> ScriptPlace:
    module = sys.modules.get(getattr(script_fn, "__module__", ""))
    file, qualname = getattr(module, "__file__", None), getattr(script_fn, "__qualname__", "<unknown>")
    if file is None or "<" in qualname:
        raise NotHereError(
            f"script {script_fn!r}: expected a function that its file defines at its top or in a class"
        )
    return ScriptPlace(
        file=file,
        qualname=qualname,
        source_dir=str(bench.source_dir),
        has_sglang=bench.target.engine == SGLANG,
    )
