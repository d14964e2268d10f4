"""How a host names a script, so that the worker can import it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from exhausters.errors import UsageError
from exhausters.worker.protocol import ScriptRef


def script_ref(script: Callable[..., Any]) -> ScriptRef:
    """Return where the worker will find `script`; raises UsageError for lambdas and local functions."""
    module_name = getattr(script, "__module__", None)
    qualname = getattr(script, "__qualname__", "")
    if module_name is None or "<" in qualname:
        raise UsageError(
            f"script {script!r}: expected a function at the top level of a module, because the worker "
            "imports it by name; move it there"
        )
    return module_ref(module_name, qualname)


def module_ref(module_name: str, qualname: str) -> ScriptRef:
    """Return where the worker will find `qualname` of a module; raises UsageError if there is no file."""
    if module_name.split(".")[0] == "exhausters":
        return ScriptRef(module=module_name, qualname=qualname)
    file = getattr(sys.modules.get(module_name), "__file__", None)
    if file is None:
        raise UsageError(f"{module_name}:{qualname}: module {module_name!r} has no source file")
    path = Path(file).resolve()
    levels = 0 if module_name == "__main__" else module_name.count(".")
    if path.name == "__init__.py":
        levels += 1
    return ScriptRef(
        module=module_name, qualname=qualname, file=str(path), import_root=str(path.parents[levels])
    )
