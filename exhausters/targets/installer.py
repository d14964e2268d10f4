"""The only place that runs uv."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Protocol

from exhausters.errors import InstallError
from exhausters.targets.pip_settings import pip_settings, uv_arguments, uv_environment

__all__ = ["Installer", "UvInstaller", "run_uv", "scrubbed"]

_OUTPUT_LINES = 30
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")


class Installer(Protocol):
    """What this project needs from a package installer; tests pass one that writes a few small files."""

    def create_environment(self, folder: Path, *, python: Path) -> None:
        """Make `folder`, which exists and is empty, a virtual environment of `python`."""

    def install(
        self,
        requirements: Sequence[str],
        *,
        python: Path,
        with_dependencies: bool = True,
        folder: Path | None = None,
    ) -> None:
        """Install into the environment of `python`, or into the plain folder `folder` if one is given."""

    def installed(self, *, python: Path) -> tuple[str, ...]:
        """Return `name==version` of everything in the environment of `python`."""


class UvInstaller:
    """uv, from the harness's own environment.

    Every method raises InstallError, with the last lines that uv printed, if uv fails.
    """

    def create_environment(self, folder: Path, *, python: Path) -> None:
        """Make `folder` a virtual environment of `python`, without pip or setuptools."""
        self._run(
            ["venv", "--quiet", "--no-project", "--clear", "--python", str(python), str(folder)], folder
        )

    def install(
        self,
        requirements: Sequence[str],
        *,
        python: Path,
        with_dependencies: bool = True,
        folder: Path | None = None,
    ) -> None:
        """Install `requirements` and compile them to bytecode."""
        arguments = ["pip", "install", "--compile-bytecode", "--python", str(python)]
        if not with_dependencies:
            arguments.append("--no-deps")
        if folder is not None:
            arguments += ["--target", str(folder)]
        arguments += uv_arguments(self._pip_settings, os.environ)
        self._run([*arguments, "--", *requirements], folder or python.parent)

    def installed(self, *, python: Path) -> tuple[str, ...]:
        """Return what `uv pip freeze` lists."""
        return tuple(self._run(["pip", "freeze", "--python", str(python)], python.parent).splitlines())

    @cached_property
    def _pip_settings(self) -> dict[str, str]:
        return pip_settings()

    def _run(self, arguments: list[str], folder: Path) -> str:
        # uv looks for a project around its working directory; the cache has none.
        done = subprocess.run(
            [_uv_binary(), *arguments],
            cwd=folder,
            env={**uv_environment(self._pip_settings, os.environ), "UV_NO_PROGRESS": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            # Lets uv inherit the lock on the folder it writes; see cache.py. Nothing else is inheritable.
            close_fds=False,
        )
        if done.returncode != 0:
            raise InstallError(_failure(arguments, done.returncode, done.stderr or done.stdout))
        return done.stdout


def run_uv(arguments: Sequence[str]) -> int:
    """Run uv with `arguments` and pip's settings in the current folder; return its exit code."""
    environment = uv_environment(pip_settings(), os.environ)
    return subprocess.run([_uv_binary(), *arguments], env=environment, check=False).returncode


def scrubbed(text: str) -> str:
    """Return `text` with the user name and password of every URL replaced by `***`."""
    return _CREDENTIALS.sub("***@", text)


def _failure(arguments: list[str], code: int, output: str) -> str:
    tail = "\n".join(output.strip().splitlines()[-_OUTPUT_LINES:]) or "(it printed nothing)"
    command = " ".join(["uv", *arguments])
    return scrubbed(
        f"`{command}` ended with exit code {code}: expected it to succeed; read its last lines, check the "
        f"index settings of pip or uv, and run again\n{tail}"
    )


def _uv_binary() -> str:
    import uv  # only needed when something must be installed

    try:
        return uv.find_uv_bin()
    except FileNotFoundError as error:
        raise InstallError(f"uv: no executable found ({error}); run `make setup` again") from error
