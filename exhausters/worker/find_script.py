"""Find a script's function in the worker, by the name the host gave."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from exhausters.errors import UsageError
from exhausters.worker.protocol import ScriptRef

# A script run as `python file.py` lives in `__main__`, which in the worker is the worker itself.
_MAIN_ALIAS = "exhausters_script_main"


def find_script(ref: ScriptRef) -> Callable[..., Any]:
    """Import the script's module and return its function.

    Raises:
        UsageError: the module has no such function, or is a program that would start again in the worker.
        ImportError: the module, or what it imports, is not there in the target's environment.
    """
    found = find_object(ref)
    if not callable(found):
        raise UsageError(f"script {ref}: expected a function, found {found!r}")
    function: Callable[..., Any] = found
    return function


def find_object(ref: ScriptRef) -> Any:
    """Import the module and return what it has under that name, or None; raises ImportError."""
    found: Any = _import_module(ref)
    for part in ref.qualname.split("."):
        found = getattr(found, part, None)
    return found


def _import_module(ref: ScriptRef) -> ModuleType:
    if ref.file is None:
        return importlib.import_module(ref.module)
    if ref.import_root and ref.import_root not in sys.path:
        # Last, so that nothing beside the script can hide a module of the target.
        sys.path.append(ref.import_root)
    if ref.module == "__main__":
        return _load_file(ref.file)
    return importlib.import_module(ref.module)


def _load_file(file: str) -> ModuleType:
    loaded = sys.modules.get(_MAIN_ALIAS)
    if loaded is not None and loaded.__file__ == file:
        return loaded
    spec = importlib.util.spec_from_file_location(_MAIN_ALIAS, file)
    if spec is None or spec.loader is None:
        raise UsageError(f"script file {file}: not a Python source file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[_MAIN_ALIAS] = module
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[_MAIN_ALIAS]
        if _has_guard(file) or isinstance(error, KeyboardInterrupt):
            raise
        first_line = str(error).split("\n", 1)[0]
        raise UsageError(
            f"script file {file}: the worker imports it to find the script, which runs its top level again, "
            f"and that raised {type(error).__name__}: {first_line}; put what starts the run below "
            '`if __name__ == "__main__":`'
        ) from error
    return module


def _has_guard(file: str) -> bool:
    """Tell whether a file keeps what it runs as a program apart from what an import runs."""
    tests = (
        ast.unparse(node.test) for node in ast.parse(Path(file).read_text()).body if isinstance(node, ast.If)
    )
    return any("__name__" in test for test in tests)
