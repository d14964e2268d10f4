"""`ScriptedTestCase`: a unittest class with a booted engine, as SGLang's scripted runtime has it."""

from __future__ import annotations

import os
import unittest
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

from exhausters.engine.settings import HostSettings
from exhausters.errors import WorkerHungError
from exhausters.targets import NEWEST_RELEASE, prepare
from exhausters.worker.host import SCRIPT_TIMEOUT_SECONDS, Host

# Which SGLang the test cases run against, e.g. `release:0.5.20` or `path:/home/me/sglang`.
TARGET_VARIABLE = "EXHAUSTERS_TARGET"


class FullMarkWarning(UserWarning):
    """A script has left an idle engine whose running batch is marked as full."""


class ScriptedServer:
    """A booted engine that runs scripts; stands where SGLang's `ScriptedHttpServer` stands.

    Attributes:
        host: the worker behind it; `host.facts` and `host.ready.notes` tell what was booted.
    """

    def __init__(self, host: Host) -> None:
        self.host = host

    @classmethod
    def start(
        cls, *, target: str | None = None, settings: HostSettings | None = None, **engine_kwargs: Any
    ) -> ScriptedServer:
        """Boot an engine with SGLang's engine keywords.

        Args:
            target: which SGLang; by default the one named by the environment variable
                EXHAUSTERS_TARGET, else the newest supported release.
            settings: clock, emitted token and more; `engine_kwargs` win over its engine keywords.
            engine_kwargs: keywords of SGLang's `ServerArgs`.
        """
        name = target or os.environ.get(TARGET_VARIABLE) or f"release:{NEWEST_RELEASE}"
        base = settings or HostSettings()
        merged = replace(base, engine={**base.engine, **engine_kwargs})
        return cls(Host(prepare(name), merged))

    def execute_script(
        self, script_fn: Callable[..., Any], *, args: tuple[Any, ...] = (), timeout_s: float | None = None
    ) -> Any:
        """Reset the engine, run a script to its end, and return what it returned.

        Raises:
            AssertionError: the script raised; the message is its traceback (a ScriptFailedError).
            TimeoutError: it did not end in time; the engine is gone (its cause is a WorkerHungError).
        """
        timeout_seconds = SCRIPT_TIMEOUT_SECONDS if timeout_s is None else timeout_s
        cleared = self.host.full_marks_cleared
        try:
            return self.host.run(script_fn, *args, timeout_seconds=timeout_seconds, as_sglang=True)
        except WorkerHungError as error:
            raise TimeoutError(str(error)) from error
        finally:
            if self.host.full_marks_cleared > cleared:
                warnings.warn(
                    "the script before this one left the idle engine marked as full; the "
                    f"mark was taken off ({self.host.full_marks_cleared} times in this engine)",
                    FullMarkWarning,
                    stacklevel=2,
                )

    def shutdown(self) -> None:
        """End the engine; harmless when repeated."""
        self.host.close()


class ScriptedTestCase(unittest.TestCase):
    """A test case whose class boots one engine from `ENGINE_KWARGS` and shares it between tests."""

    ENGINE_KWARGS: ClassVar[dict[str, Any]] = {}
    server_class: ClassVar[Any] = ScriptedServer
    server: ClassVar[Any]

    @classmethod
    def setUpClass(cls) -> None:
        """Boot the engine."""
        super().setUpClass()
        if not cls.ENGINE_KWARGS:
            raise AssertionError(f"{cls.__name__}: set ENGINE_KWARGS to the engine's keywords (not empty)")
        cls.server = cls.server_class.start(**cls.ENGINE_KWARGS)

    @classmethod
    def tearDownClass(cls) -> None:
        """End the engine."""
        try:
            cls.server.shutdown()
        finally:
            super().tearDownClass()
