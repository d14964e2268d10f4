"""Python environments that hold what targets need, one per distinct list of pins, kept in the cache.

An environment does not contain SGLang itself: releases and commits with the same pins share one, and
their sources go onto the worker's path.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from exhausters.targets.cache import Progress, build_once, cache_root, is_complete
from exhausters.targets.installer import Installer, UvInstaller
from exhausters.targets.pins import Pins

__all__ = ["Interpreter", "current_interpreter", "environment_for", "environment_key"]

# Raise when an environment must be built differently from the same pins.
_SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class Interpreter:
    """A Python to make environments of.

    Attributes:
        path: its executable, outside any virtual environment.
        version: such as "3.11.7".
        implementation: such as "cpython".
        platform: such as "linux-x86_64".
    """

    path: Path
    version: str
    implementation: str
    platform: str

    @property
    def tag(self) -> str:
        """Name of everything whose compiled files this interpreter can load: "cpython-3.11-linux-x86_64"."""
        minor = ".".join(self.version.split(".")[:2])
        return f"{self.implementation}-{minor}-{self.platform}"


def current_interpreter() -> Interpreter:
    """Return the interpreter that the harness's own environment was made of."""
    base: str = getattr(sys, "_base_executable", None) or sys.executable
    return Interpreter(
        path=Path(base),
        version=platform.python_version(),
        implementation=sys.implementation.name,
        platform=sysconfig.get_platform(),
    )


def environment_key(pins: Pins, python: Interpreter) -> str:
    """Return the name of the environment for `pins`: equal keys mean interchangeable environments."""
    identity = {
        "schema": _SCHEMA,
        "python": [python.version, python.implementation, python.platform],
        "pins": pins.lines(),
    }
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:16]


def environment_for(
    pins: Pins,
    python: Interpreter,
    *,
    installer: Installer | None = None,
    on_progress: Progress | None = None,
) -> Path:
    """Return the interpreter of an environment with `pins`; it is built first if the cache has none.

    What was installed, dependencies included, is listed in `installed.txt` beside the marker.

    Raises:
        InstallError: the environment could not be built; nothing of it is left behind.
    """
    key = environment_key(pins, python)
    installer = installer or UvInstaller()

    def build(folder: Path) -> None:
        count = len(pins.full) + len(pins.bare)
        _report(on_progress, f"building environment {key} ({count} distributions and what they need)")
        installer.create_environment(folder, python=python.path)
        inside = _python_of(folder)
        installer.install(pins.full, python=inside)
        if pins.bare:
            installer.install(pins.bare, python=inside, with_dependencies=False)
        installed = "\n".join(installer.installed(python=inside))
        (folder / "installed.txt").write_text(installed + "\n", encoding="utf-8")

    folder = build_once(
        cache_root() / "environments" / key,
        build,
        content={
            "schema": _SCHEMA,
            "python": python.version,
            "platform": python.platform,
            "pins": pins.lines(),
        },
        is_usable=_is_usable,
        on_progress=on_progress,
    )
    return _python_of(folder)


def _python_of(folder: Path) -> Path:
    return folder / "bin" / "python"


def _is_usable(folder: Path) -> bool:
    # A virtual environment's python is a link to the one it was made of, which may have been removed.
    return is_complete(folder) and os.access(_python_of(folder), os.X_OK)


def _report(on_progress: Progress | None, message: str) -> None:
    if on_progress is not None:
        on_progress(message)
