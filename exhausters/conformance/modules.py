"""An import hook: what test files import from SGLang's scripted runtime is the harness's own.

It is installed in both processes. In the harness's own, without SGLang, every other module of SGLang's is
a stand-in; in a worker it is SGLang's.
"""

from __future__ import annotations

import importlib.util
import sys
import unittest
from collections.abc import Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

from exhausters.conformance.stand_ins import StandIn
from exhausters.scripted import as_sglang, helpers
from exhausters.scripted.context import ScriptedContext
from exhausters.scripted.req_handle import ScriptedReqHandle

_RUNTIME = "sglang.test.scripted_runtime"
_HELPERS = "sglang.test.scripted_runtime_chunked_helpers"
# Neither says anything of a scheduler, and both import what a worker need not have.
_ABOUT_TESTS = ("sglang.test.test_utils", "sglang.test.ci", "sglang.test.ci.ci_register")


class NotOfTheApiError(ImportError):
    """A part of SGLang's runtime that is not of its scripted API: its messages, its proxies."""


class ScriptModules(MetaPathFinder, Loader):
    """The hook; a context manager. On its end, what it made and what imported that is forgotten.

    Args (of the constructor):
        test_case: what test classes inherit from.
        server: what they boot.
        source_dir: the folder that contains `sglang/`, for the constants of stand-ins.
        has_sglang: whether the rest of SGLang can be imported in this process.
    """

    def __init__(self, *, test_case: type, server: type | None, source_dir: Path, has_sglang: bool) -> None:
        self._source_dir, self._has_sglang = source_dir, has_sglang
        self._made: set[str] = set()
        context = {"ScriptedContext": ScriptedContext}
        self._ours: Mapping[str, Mapping[str, Any]] = {
            _RUNTIME: {},
            f"{_RUNTIME}.context": context,
            f"{_RUNTIME}.context.api": context,
            f"{_RUNTIME}.req_handle": {"ScriptedReqHandle": ScriptedReqHandle},
            f"{_RUNTIME}.scheduler_hook": {"ScriptedBatchRecord": as_sglang.ScriptedBatchRecord},
            f"{_RUNTIME}.test_case": {"ScriptedTestCase": test_case},
            f"{_RUNTIME}.http_server": {"ScriptedHttpServer": server},
            _HELPERS: {name: value for name, value in vars(helpers).items() if not name.startswith("_")},
        }

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Say how a module of SGLang's is made here; None for one that is imported as ever."""
        if fullname.partition(".")[0] != "sglang":
            return None
        if fullname.startswith(f"{_RUNTIME}.") and fullname not in self._ours:
            raise NotOfTheApiError(f"{fullname}: a part of SGLang's own runtime, not of its scripted API")
        if fullname in self._ours or fullname in _ABOUT_TESTS or not self._has_sglang:
            return importlib.util.spec_from_loader(fullname, self, is_package=True)
        return None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Make the module."""
        self._made.add(spec.name)
        if spec.name not in self._ours:
            module: ModuleType = StandIn(spec.name, self._source_dir)
            if spec.name == _ABOUT_TESTS[0]:
                vars(module)["CustomTestCase"] = unittest.TestCase
            return module
        module = ModuleType(spec.name)
        vars(module).update(self._ours[spec.name])
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Everything is in it already."""

    def __enter__(self) -> ScriptModules:
        sys.meta_path.insert(0, self)
        return self

    def __exit__(self, *_: object) -> None:
        sys.meta_path.remove(self)
        for name in self._made:
            sys.modules.pop(name, None)


def load_file(file: Path) -> ModuleType:
    """Import a test file under its own name, as a runner that is started beside it does; once.

    Raises whatever its top level raises.
    """
    name = file.stem
    loaded = sys.modules.get(name)
    if loaded is not None and getattr(loaded, "__file__", None) == str(file):
        return loaded
    if str(file.parent) not in sys.path:
        # Last, so that nothing beside it can hide another module.
        sys.path.append(str(file.parent))
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None, f"{file}: not a Python file"
    assert spec.loader is not None, f"{file}: not a Python file"
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module
