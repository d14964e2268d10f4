"""The worker's side: plays a script of a test file, with SGLang itself beside it."""

from __future__ import annotations

import unittest
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exhausters.conformance.modules import ScriptModules, load_file
from exhausters.scripted.context import ScriptedContext

_INSTALLED: list[ScriptModules] = []


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptPlace:
    """Where a script is.

    Attributes:
        file: the test file.
        qualname: its dotted name in it.
        source_dir: the folder of the checkout that contains `sglang/`.
        has_sglang: whether the worker has SGLang itself.
    """

    file: str
    qualname: str
    source_dir: str
    has_sglang: bool


class _NoTestCase(unittest.TestCase):
    """What test classes inherit from in a worker, where nothing runs them."""


def play(t: ScriptedContext, place: ScriptPlace, args: tuple[Any, ...]) -> Generator[None, None, None]:
    """Run a script. As in SGLang's runtime, one that is no generator fails with a TypeError."""
    if not _INSTALLED:
        modules = ScriptModules(
            test_case=_NoTestCase,
            server=None,
            source_dir=Path(place.source_dir),
            has_sglang=place.has_sglang,
        )
        _INSTALLED.append(modules.__enter__())
    script: Any = load_file(Path(place.file))
    for part in place.qualname.split("."):
        script = getattr(script, part)
    yield from script(t, *args)
