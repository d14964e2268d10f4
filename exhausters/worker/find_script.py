"""Find a script's function in the worker, by the name the host gave."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from exhausters.errors import UsageError
from exhausters.worker.protocol import ScriptRef

# A script run as `python file.py` lives in `__main__`, which in the worker is the worker itself.
_MAIN_ALIAS = "exhausters_script_main"


def find_script(ref: ScriptRef) -> Callable[..., Any]:
    """Import the script's module and return its function.

    Raises:
        UsageError: the module has no such function.
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
    spec.loader.exec_module(module)
    return module
